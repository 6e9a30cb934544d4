//! What one session is doing, as far as cancelling it needs to know.

use crate::connect::CancelTarget;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// A statement that is cancelled ends within a millisecond or two. Only a cancel under way looks: counting answers for
/// its sake costs each transaction next to nothing, waking somebody would not.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// A session's state, as it tells it.
#[derive(Default)]
pub struct CancelSlot {
    state: Mutex<Doing>,
    /// Rung when a session that waits for a connection is cancelled.
    cancelled: Notify,
    /// Requests that it has had an answer to.
    answers: AtomicU64,
}

#[derive(Default)]
enum Doing {
    /// Nothing that could be cancelled.
    #[default]
    Nothing,
    /// Waiting for a connection, and whether that was cancelled.
    Waiting { cancelled: bool },
    /// Using one. `under_way` counts the cancels being passed on.
    Running { server: CancelTarget, under_way: u32 },
}

/// What a cancel request has to do with a session.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// It does nothing.
    Nothing,
    /// It waited, and knows.
    Queue,
    /// The server is to be asked.
    Server(CancelTarget),
}

impl CancelSlot {
    /// So many more requests were answered.
    pub fn answered(&self, count: u32) {
        self.answers.fetch_add(count.into(), Ordering::Relaxed);
    }

    /// Requests answered so far: which of them a cancel is for.
    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    /// Waits until the request behind so many answers has been answered too, for `max` at most. Says whether it has.
    pub(super) async fn answers_within(&self, answers: u64, max: Duration) -> bool {
        let deadline = Instant::now() + max;
        while self.answers() == answers {
            if Instant::now() >= deadline {
                return false;
            }
            sleep(LOOK_AGAIN).await;
        }
        true
    }

    /// The session waits for a connection.
    pub fn waiting(&self) {
        *self.lock() = Doing::Waiting { cancelled: false };
    }

    /// Resolves when the waiting session is cancelled.
    pub async fn cancelled(&self) {
        // The bell may have rung for an earlier wait that ended before it was heard.
        while !matches!(*self.lock(), Doing::Waiting { cancelled: true }) {
            self.cancelled.notified().await;
        }
    }

    /// The session uses this connection from now on. `false`: it was cancelled while it waited for one, and
    /// does nothing.
    pub fn running(&self, server: CancelTarget) -> bool {
        let mut doing = self.lock();
        let was_cancelled = matches!(*doing, Doing::Waiting { cancelled: true });
        *doing = if was_cancelled { Doing::Nothing } else { Doing::Running { server, under_way: 0 } };
        !was_cancelled
    }

    /// The session no longer uses or wants a connection. `false`: a cancel for it is under way, so
    /// the connection is not to be used by anybody else.
    pub fn stopped(&self) -> bool {
        let was = std::mem::take(&mut *self.lock());
        !matches!(was, Doing::Running { under_way: 1.., .. })
    }

    /// Cancels a session that waits for a connection. Says whether it does.
    pub(super) fn cancel_waiting(&self) -> bool {
        match &mut *self.lock() {
            Doing::Waiting { cancelled } => {
                *cancelled = true;
                self.cancelled.notify_one();
                true
            }
            Doing::Nothing | Doing::Running { .. } => false,
        }
    }

    pub(super) fn begin_cancel(&self) -> Begun {
        if self.cancel_waiting() {
            return Begun::Queue;
        }
        match &mut *self.lock() {
            Doing::Running { server, under_way } => {
                *under_way += 1;
                Begun::Server(server.clone())
            }
            Doing::Nothing | Doing::Waiting { .. } => Begun::Nothing,
        }
    }

    /// A cancel for this connection has ended. By now the session may use another one.
    pub(super) fn end_cancel(&self, ended: &CancelTarget) {
        if let Doing::Running { server, under_way } = &mut *self.lock()
            && server == ended
        {
            *under_way = under_way.saturating_sub(1);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Doing> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgwire::CancelKey;

    fn connection(process_id: i32) -> CancelTarget {
        CancelTarget::new(([127, 0, 0, 1], 1).into(), CancelKey { process_id, secret: 2 }, None)
    }

    fn server() -> CancelTarget {
        connection(1)
    }

    #[test]
    fn a_connection_with_a_cancel_under_way_is_not_used_again() {
        let slot = CancelSlot::default();
        assert!(slot.running(server()));
        assert_eq!(slot.begin_cancel(), Begun::Server(server()));
        assert!(!slot.stopped());
        assert!(slot.running(server()));
        assert_eq!(slot.begin_cancel(), Begun::Server(server()));
        slot.end_cancel(&server());
        assert!(slot.stopped());
        assert_eq!(slot.begin_cancel(), Begun::Nothing);
    }

    #[test]
    fn the_end_of_an_old_cancel_does_not_count_for_the_next_connection() {
        let slot = CancelSlot::default();
        slot.running(server());
        slot.begin_cancel();
        slot.stopped();
        slot.running(connection(3));
        slot.begin_cancel();
        slot.end_cancel(&server());
        assert!(!slot.stopped());
    }

    #[test]
    fn a_cancel_that_comes_together_with_the_connection_is_not_lost() {
        let slot = CancelSlot::default();
        slot.waiting();
        assert_eq!(slot.begin_cancel(), Begun::Queue);
        assert!(!slot.running(server()), "the wait was cancelled");
        slot.waiting();
        assert!(slot.running(server()), "an earlier cancel is not this wait's");
    }
}
