//! When idle connections and unused pools are due to go.
//!
//! Every pool that has something to lose has one entry, at or before the first instant at which it may lose it. One
//! task sleeps until the first of them: while nothing is due, nothing wakes up.

use super::{Pool, Registry};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long connections live, and who is due when.
#[derive(Debug)]
pub struct Expiry {
    /// An idle connection is closed after this, and a pool without connections forgotten.
    pub idle_timeout: Duration,
    /// A connection is closed at this age, as soon as nobody uses it.
    pub lifetime_max: Duration,
    due: Mutex<Due>,
    /// Told when something is due earlier than all before.
    earlier: Notify,
}

#[derive(Debug, Default)]
struct Due {
    /// Numbered, as many may be due at once.
    pools: BTreeMap<(Instant, u64), Weak<Pool>>,
    next: u64,
}

impl Expiry {
    /// Nothing is due yet.
    #[must_use]
    pub fn new(idle_timeout: Duration, lifetime_max: Duration) -> Arc<Self> {
        Arc::new(Self { idle_timeout, lifetime_max, due: Mutex::default(), earlier: Notify::new() })
    }

    /// The pool is to be looked at then.
    pub(super) fn enter(&self, pool: &Arc<Pool>, at: Instant) {
        let mut due = self.due();
        due.next += 1;
        let key = (at, due.next);
        due.pools.insert(key, Arc::downgrade(pool));
        let is_first = due.pools.first_key_value().is_some_and(|(first, _)| *first == key);
        drop(due);
        if is_first {
            self.earlier.notify_one();
        }
    }

    fn first(&self) -> Option<Instant> {
        self.due().pools.first_key_value().map(|((at, _), _)| *at)
    }

    fn take_due(&self, now: Instant) -> Vec<(Instant, Weak<Pool>)> {
        let mut due = self.due();
        let later = due.pools.split_off(&(now + Duration::from_nanos(1), 0));
        let taken = std::mem::replace(&mut due.pools, later);
        taken.into_iter().map(|((at, _), pool)| (at, pool)).collect()
    }

    fn due(&self) -> MutexGuard<'_, Due> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets idle connections and pools go until `stop` fires, then closes every idle connection.
pub async fn run(registry: Arc<Registry>, stop: CancellationToken) {
    let expiry = Arc::clone(registry.expiry());
    loop {
        let first = expiry.first();
        let next = async {
            match first {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = expiry.earlier.notified() => {}
            () = next => let_go(&registry, &expiry),
        }
    }
    registry.retire_all();
}

fn let_go(registry: &Registry, expiry: &Expiry) {
    let now = Instant::now();
    for (at, pool) in expiry.take_due(now) {
        let Some(pool) = pool.upgrade() else { continue };
        if pool.let_go_of_stale(at, now) {
            let key = pool.key().clone();
            drop(pool);
            registry.forget_unused(&key);
        }
    }
}
