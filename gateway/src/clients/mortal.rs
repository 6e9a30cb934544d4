//! A session that an operator can end.

use super::Client;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::Sleep;

/// How long a client that was ended gets to hear why. One that does not read is cut off.
const LAST_WORDS_MAX: Duration = Duration::from_secs(5);

/// Runs a session, which looks at [`Client::is_killed`] wherever it is polled, and ends it by force when it
/// does not leave.
///
/// The task's waker is registered when it changes, which for a task of its own is once: an ended client is
/// woken although it waits for something else, and waiting costs nothing more than a comparison.
pub struct Mortal<F> {
    session: Pin<Box<F>>,
    client: Arc<Client>,
    registered: Option<Waker>,
    last_words: Option<Pin<Box<Sleep>>>,
}

impl<F: Future<Output = ()>> Mortal<F> {
    /// `session` is the whole life of `client`.
    pub fn new(session: F, client: Arc<Client>) -> Self {
        Self { session: Box::pin(session), client, registered: None, last_words: None }
    }
}

impl<F: Future<Output = ()>> Future for Mortal<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.registered.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.registered = Some(cx.waker().clone());
            self.client.wake_with(cx.waker().clone());
        }
        if self.session.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if !self.client.is_killed() {
            return Poll::Pending;
        }
        let last_words = self.last_words.get_or_insert_with(|| Box::pin(tokio::time::sleep(LAST_WORDS_MAX)));
        last_words.as_mut().poll(cx)
    }
}
