//! What goes: connections that others need or that are stale, what exceeds new limits, the pool itself.

use super::{Locked, terms};
use crate::pool::CheckoutError;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tenancy::Limits;

/// A pool that nobody uses, and that is not forgotten because clients are connected, is looked at again after so many
/// idle time-outs.
const IDLE_TIMEOUTS_BETWEEN_LOOKS: u32 = 10;

impl Locked<'_> {
    /// Closes the idle connection that was unused for longest. Says whether there was one.
    pub(in crate::pool) fn evict(&mut self) -> bool {
        let Some(connection) = self.state.idle.take_oldest() else { return false };
        self.pool.usage().evictions.inc();
        self.after.closed_one = Some(connection);
        self.expire_when_empty();
        self.sync();
        true
    }

    /// The same because the allocator has said so.
    pub(in crate::pool) fn evict_for_others(&mut self) {
        let closes = self.evict();
        if let Some(connection) = &mut self.after.closed_one {
            connection.is_given_up();
        }
        self.tell(|allocator, id| allocator.evicted(id, closes));
    }

    /// An operator holds back whoever uses the pool: who waits is to wait at the gate, so that nothing is opened for it.
    pub(in crate::pool) fn hold_back(&mut self) {
        while let Some(waiter) = self.state.waiters.pop() {
            self.after.told.push((waiter.sender, CheckoutError::HeldBack));
        }
        self.sync();
    }

    /// The pool is no longer any route's.
    pub(in crate::pool) fn retire(&mut self) {
        self.pool.retired.store(true, Ordering::Release);
        self.refuse_all(|| CheckoutError::Retired);
        self.after.closed.extend(self.state.idle.take_all());
        self.after.attempt = self.state.attempt.take();
        self.after.allocator_was_told = true;
    }

    /// Other limits are in force. What exceeds them goes as it becomes idle; whoever waits goes on waiting.
    pub(in crate::pool) fn set_limits(&mut self, limits: Limits) {
        self.state.limits = limits;
        let terms = terms(&limits);
        self.tell(|allocator, id| allocator.set_terms(id, terms));
        self.sync();
    }

    /// Sessions begin with something else from now on: idle connections that have begun otherwise go, those in use as
    /// they become idle. Whoever waits goes on waiting.
    pub(in crate::pool) fn let_go_of_outdated(&mut self) {
        let current = self.pool.session_defaults();
        let outdated = self.state.idle.take_unless(|connection| connection.began_with == current);
        self.pool.usage().evictions.add(u64::try_from(outdated.len()).unwrap_or(u64::MAX));
        self.after.closed.extend(outdated);
        self.expire_when_empty();
        self.sync();
    }

    /// Closes idle connections that are stale. Says whether the pool itself is.
    pub(in crate::pool) fn let_go_of_stale(&mut self, at: Instant, now: Instant) -> bool {
        if self.state.due != Some(at) {
            return false;
        }
        self.state.due = None;
        let expiry = &self.pool.expiry;
        let stale = self
            .state
            .idle
            .take_unless(|connection| connection.expires(expiry) > now && connection.is_quiet(now));
        self.pool.usage().evictions.add(u64::try_from(stale.len()).unwrap_or(u64::MAX));
        self.after.closed.extend(stale);
        if let Some(next) = self.state.idle.iter().map(|connection| connection.expires(expiry)).min() {
            self.expire_at(next);
        }
        let is_unused = self.size() == 0 && self.pool.unused_for() >= self.pool.expiry.idle_timeout;
        if is_unused {
            // As long as somebody is connected who may yet use it, it stays.
            self.expire_at(now + self.pool.expiry.idle_timeout * IDLE_TIMEOUTS_BETWEEN_LOOKS);
        } else {
            self.expire_when_empty();
        }
        is_unused
    }

    /// A pool that has nothing is forgotten after a while.
    pub(in crate::pool) fn expire_when_empty(&mut self) {
        if self.size() == 0 && !self.pool.is_retired() {
            let expiry = &self.pool.expiry;
            let at = (self.pool.last_used() + expiry.idle_timeout).max(Instant::now());
            self.expire_at(at);
        }
    }

    /// Enters the pool for then, unless it is looked at before.
    pub(super) fn expire_at(&mut self, at: Instant) {
        if self.state.due.is_none_or(|due| at < due) {
            self.state.due = Some(at);
            self.pool.expiry.enter(self.pool, at);
        }
    }
}
