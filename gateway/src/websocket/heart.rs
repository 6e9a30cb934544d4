//! Is somebody still there? A client whose network is gone closes nothing.
//!
//! Whoever was silent for an interval is asked by a ping; whoever does not answer within the next is taken for gone.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// Watches over one client.
pub(super) struct Heart {
    interval: Duration,
    /// Made by the thread that serves the client, when it first waits for it.
    timer: Option<Pin<Box<Sleep>>>,
    was_heard: bool,
    is_asked: bool,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// The client is to be asked.
    Ask,
    /// It has not answered.
    Gone,
}

impl Heart {
    pub(super) const fn new(interval: Duration) -> Self {
        Self { interval, timer: None, was_heard: true, is_asked: false }
    }

    /// The client has sent something.
    pub(super) fn hear(&mut self) {
        (self.was_heard, self.is_asked) = (true, false);
    }

    /// Another thread serves the client from now on; timers belong to theirs.
    pub(super) fn forget_timer(&mut self) {
        self.timer = None;
    }

    /// Ready when the client has been silent for too long.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Beat> {
        loop {
            let interval = self.interval;
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(interval)));
            ready!(timer.as_mut().poll(cx));
            self.timer = None;
            if std::mem::take(&mut self.was_heard) {
                continue;
            }
            let beat = if self.is_asked { Beat::Gone } else { Beat::Ask };
            self.is_asked = true;
            return Poll::Ready(beat);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test(start_paused = true)]
    async fn the_silent_are_asked_once_and_then_gone() {
        let begun = tokio::time::Instant::now();
        let interval = Duration::from_secs(20);
        let mut heart = Heart::new(interval);
        assert_eq!(poll_fn(|cx| heart.poll(cx)).await, Beat::Ask);
        assert!(begun.elapsed() >= 2 * interval, "a new client has just been heard");
        heart.hear();
        assert_eq!(poll_fn(|cx| heart.poll(cx)).await, Beat::Ask);
        assert_eq!(poll_fn(|cx| heart.poll(cx)).await, Beat::Gone);
        assert!(begun.elapsed() < 6 * interval);
    }
}
