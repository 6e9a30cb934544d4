//! What ends at a moment that is known beforehand: credentials, and clients that came in by something that expires.
//!
//! While nothing is due, nobody looks at the clock.

use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// The clock on the wall may be set while somebody waits for it.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// What comes, the next one first. As many as there are things with such an end.
#[derive(Debug)]
pub(crate) struct Moments<T> {
    coming: Mutex<BTreeSet<(Timestamp, T)>>,
    /// Another one is the next.
    sooner: Notify,
}

impl<T> Default for Moments<T> {
    fn default() -> Self {
        Self { coming: Mutex::default(), sooner: Notify::new() }
    }
}

impl<T: Ord> Moments<T> {
    /// These are to come.
    pub(crate) fn came(&self, moments: impl IntoIterator<Item = (Timestamp, T)>) {
        let mut coming = self.coming();
        let next = coming.first().map(|(at, _)| *at);
        coming.extend(moments);
        if coming.first().map(|(at, _)| *at) != next {
            self.sooner.notify_one();
        }
    }

    /// These are of no interest any more.
    pub(crate) fn went(&self, moments: impl IntoIterator<Item = (Timestamp, T)>) {
        let mut coming = self.coming();
        for moment in moments {
            coming.remove(&moment);
        }
    }

    /// What has become due by `now` since this was asked last.
    pub(crate) fn due<C: Default + Extend<T>>(&self, now: Timestamp) -> C {
        let mut coming = self.coming();
        let mut due = C::default();
        while coming.first().is_some_and(|(at, _)| *at <= now) {
            due.extend(coming.pop_first().map(|(_, what)| what));
        }
        due
    }

    /// Resolves when something is due. For one who waits.
    pub(crate) async fn wait(&self) {
        loop {
            let next = self.coming().first().map(|(at, _)| *at);
            let Some(pause) = next.map(|at| Duration::try_from(at.duration_since(Timestamp::now()))) else {
                self.sooner.notified().await;
                continue;
            };
            match pause {
                Ok(pause) if !pause.is_zero() => {
                    let _sooner = timeout(pause.min(WAIT_MAX), self.sooner.notified()).await;
                }
                _past => return,
            }
        }
    }

    fn coming(&self) -> MutexGuard<'_, BTreeSet<(Timestamp, T)>> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a moment")
    }

    #[test]
    fn each_is_told_once_in_order_and_none_that_went() {
        let moments = Moments::default();
        moments.came([(at(20), "late"), (at(5), "early"), (at(10), "then"), (at(6), "gone")]);
        moments.went([(at(6), "gone")]);
        let due = |second| moments.due::<Vec<_>>(at(second));
        assert_eq!(due(4), Vec::<&str>::new());
        assert_eq!(due(10), ["early", "then"]);
        assert_eq!(due(10), Vec::<&str>::new());
        assert_eq!(due(100), ["late"]);
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_what_is_due_and_by_what_is_due_sooner() {
        let moments = Moments::default();
        assert!(moments.wait().now_or_never().is_none(), "nothing is to come");
        moments.came([(Timestamp::MAX, 1)]);
        assert!(moments.wait().now_or_never().is_none(), "it is far away");
        let (mut waiting, mut told) = (std::pin::pin!(moments.wait()), 0);
        assert!(waiting.as_mut().now_or_never().is_none());
        moments.came([(Timestamp::now() + Duration::from_millis(5), 2)]);
        waiting.await;
        told += moments.due::<Vec<_>>(Timestamp::now()).len();
        moments.came([(at(0), 3)]);
        moments.wait().await;
        told += moments.due::<Vec<_>>(Timestamp::now()).len();
        assert_eq!(told, 2);
    }
}
