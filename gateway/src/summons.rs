//! A cancellation token that is asked with every step of a task.
//!
//! To poll a token takes its lock, and that of the process's own tokens every thread would take with every
//! step. Here the token is polled once; from then on asking costs the load of a flag that it sets.

use futures_util::task::AtomicWaker;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Waits for one token on behalf of one task.
pub struct Summons {
    token: Pin<Box<WaitForCancellationFutureOwned>>,
    bell: Arc<Bell>,
    /// Who is woken when it rings.
    task: Option<Waker>,
}

struct Bell {
    rung: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl Summons {
    /// Fires with the token.
    #[must_use]
    pub fn new(token: CancellationToken) -> Self {
        // Rung, so that the token is polled when this is first asked.
        let bell = Arc::new(Bell { rung: AtomicBool::new(true), task: AtomicWaker::new() });
        Self { token: Box::pin(token.cancelled_owned()), bell, task: None }
    }

    /// Ready when the token has fired, and ever after. The task that asks is woken when it does.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            self.bell.task.register(cx.waker());
            self.task = Some(cx.waker().clone());
        }
        if !self.bell.rung.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        self.bell.rung.store(false, Ordering::Release);
        // Ringing has used the waker up.
        self.bell.task.register(cx.waker());
        let bell = Waker::from(Arc::clone(&self.bell));
        let fired = self.token.as_mut().poll(&mut Context::from_waker(&bell));
        if fired.is_ready() {
            self.bell.rung.store(true, Ordering::Release);
        }
        fired
    }
}

/// Runs a task until it ends or the token fires.
pub async fn run_until(token: CancellationToken, task: impl Future<Output = ()>) {
    let (mut summons, mut task) = (Summons::new(token), pin!(task));
    poll_fn(|cx| if summons.poll(cx).is_ready() { Poll::Ready(()) } else { task.as_mut().poll(cx) }).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;
    use std::time::Duration;

    #[tokio::test]
    async fn a_task_that_waits_is_woken_once_the_token_fires() {
        let token = CancellationToken::new();
        let polls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&polls);
        let waits = poll_fn(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Poll::Pending
        });
        let task = tokio::spawn(run_until(token.clone(), waits));
        while polls.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        token.cancel();
        tokio::time::timeout(Duration::from_secs(10), task).await.expect("woken").expect("no panic");
        assert_eq!(polls.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn what_has_fired_stays_fired_for_whoever_asks_next() {
        let token = CancellationToken::new();
        let mut summons = Summons::new(token.clone());
        poll_fn(|cx| {
            assert!(summons.poll(cx).is_pending() && summons.poll(cx).is_pending());
            token.cancel();
            assert!(summons.poll(cx).is_ready() && summons.poll(cx).is_ready());
            Poll::Ready(())
        })
        .await;
    }

    #[tokio::test]
    async fn a_task_that_ends_is_not_waited_for() {
        run_until(CancellationToken::new(), async {}).await;
    }
}
