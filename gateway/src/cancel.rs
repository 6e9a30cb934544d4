//! Cancel requests: from the key that a client was given to what its session is doing.
//!
//! A client gets a random key of ours, never the server's. A cancel is passed on only while the session holds
//! a connection, and a connection on which a cancel is under way is closed rather than given to the next
//! client: a late cancel can hit nobody else.

use crate::connect::cancel::{self, CancelTarget};
use dashmap::DashMap;
use pgwire::CancelKey;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// The longest that a server may take over a cancel request.
const CANCEL_MAX: Duration = Duration::from_secs(5);

/// The sessions that can be cancelled.
#[derive(Default)]
pub struct CancelRegistry {
    sessions: DashMap<CancelKey, Arc<CancelSlot>>,
}

/// What one session is doing, as far as cancelling it needs to know.
#[derive(Default)]
pub struct CancelSlot {
    state: Mutex<Doing>,
    /// Rung when a session that waits for a connection is cancelled.
    cancelled: Notify,
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

impl CancelRegistry {
    /// A new session's key. The session is known until the returned guard is dropped.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn register(self: &Arc<Self>) -> Result<CancelGuard, getrandom::Error> {
        loop {
            let key = CancelKey::random()?;
            if let dashmap::Entry::Vacant(vacant) = self.sessions.entry(key) {
                let slot = Arc::new(CancelSlot::default());
                vacant.insert(Arc::clone(&slot));
                return Ok(CancelGuard { registry: Arc::clone(self), key, slot });
            }
        }
    }

    /// Cancels what the session with this key is doing. Says whether there is such a session.
    pub async fn cancel(&self, key: CancelKey) -> bool {
        let Some(slot) = self.sessions.get(&key).map(|entry| Arc::clone(entry.value())) else {
            return false;
        };
        let Some(target) = slot.begin_cancel() else {
            return true;
        };
        let sent = tokio::time::timeout(CANCEL_MAX, cancel::send(&target)).await;
        match sent {
            Ok(Ok(())) => slot.end_cancel(&target),
            // It may yet arrive: the connection stays marked, and is closed after use.
            _ => tracing::warn!(address = %target.address(), "a cancel request could not be passed on"),
        }
        true
    }
}

impl CancelSlot {
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

    /// The session uses this connection.
    pub fn running(&self, server: CancelTarget) {
        *self.lock() = Doing::Running { server, under_way: 0 };
    }

    /// The session no longer uses or wants a connection. `false`: a cancel for it is under way, so
    /// the connection is not to be used by anybody else.
    pub fn stopped(&self) -> bool {
        let was = std::mem::take(&mut *self.lock());
        !matches!(was, Doing::Running { under_way: 1.., .. })
    }

    fn begin_cancel(&self) -> Option<CancelTarget> {
        match &mut *self.lock() {
            Doing::Nothing => None,
            Doing::Waiting { cancelled } => {
                *cancelled = true;
                self.cancelled.notify_one();
                None
            }
            Doing::Running { server, under_way } => {
                *under_way += 1;
                Some(server.clone())
            }
        }
    }

    /// A cancel for this connection has ended. By now the session may use another one.
    fn end_cancel(&self, ended: &CancelTarget) {
        if let Doing::Running { server, under_way } = &mut *self.lock()
            && *server == *ended
        {
            *under_way = under_way.saturating_sub(1);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Doing> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session's entry in the registry.
pub struct CancelGuard {
    registry: Arc<CancelRegistry>,
    key: CancelKey,
    slot: Arc<CancelSlot>,
}

impl CancelGuard {
    /// The key for the client.
    #[must_use]
    pub fn key(&self) -> CancelKey {
        self.key
    }

    /// What the session tells of itself.
    #[must_use]
    pub fn slot(&self) -> &Arc<CancelSlot> {
        &self.slot
    }
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        self.registry.sessions.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> CancelTarget {
        with_key(CancelKey { process_id: 1, secret: 2 })
    }

    fn with_key(key: CancelKey) -> CancelTarget {
        CancelTarget::new(([127, 0, 0, 1], 1).into(), key, None)
    }

    #[tokio::test]
    async fn an_unknown_key_cancels_nothing() {
        let registry = Arc::new(CancelRegistry::default());
        assert!(!registry.cancel(CancelKey { process_id: 1, secret: 2 }).await);
    }

    #[tokio::test]
    async fn a_session_is_forgotten_with_its_guard() {
        let registry = Arc::new(CancelRegistry::default());
        let guard = registry.register().expect("randomness");
        let key = guard.key();
        assert!(registry.cancel(key).await);
        drop(guard);
        assert!(!registry.cancel(key).await);
    }

    #[tokio::test]
    async fn a_waiting_session_hears_of_its_cancel() {
        let registry = Arc::new(CancelRegistry::default());
        let guard = registry.register().expect("randomness");
        guard.slot().waiting();
        registry.cancel(guard.key()).await;
        guard.slot().cancelled().await;
    }

    #[test]
    fn a_connection_with_a_cancel_under_way_is_not_used_again() {
        let slot = CancelSlot::default();
        slot.running(server());
        assert!(slot.begin_cancel().is_some());
        assert!(!slot.stopped());
        slot.running(server());
        assert!(slot.begin_cancel().is_some());
        slot.end_cancel(&server());
        assert!(slot.stopped());
        assert!(slot.begin_cancel().is_none());
    }

    #[test]
    fn the_end_of_an_old_cancel_does_not_count_for_the_next_connection() {
        let slot = CancelSlot::default();
        slot.running(server());
        slot.begin_cancel();
        slot.stopped();
        let next = with_key(CancelKey { process_id: 3, secret: 4 });
        slot.running(next);
        slot.begin_cancel();
        slot.end_cancel(&server());
        assert!(!slot.stopped());
    }
}
