//! The allocator's surroundings: who its members are, and how what it decides is carried out.
//!
//! A pool may speak to the allocator while it holds its own lock; what comes of it is carried out later, by whoever
//! holds no pool's lock: [`Cluster::carry_out`].

use super::long::LongWaiter;
use super::*;
use crate::pool::allocator::reclaim::IDLE_BEFORE_TAKEN;
use crate::pool::allocator::{Idle, Phase};
use crate::pool::siblings::Siblings;
use crate::pool::waiters::Waiters;
use std::collections::HashMap;
use tokio::runtime::Handle;

/// A look that is overdue by so much has gone with the thread that was to take it.
const LOST_AFTER: Duration = Duration::from_secs(1);

/// What the cluster's lock protects.
pub(super) struct Core {
    pub(super) allocator: Allocator,
    pub(super) members: HashMap<MemberId, Member>,
    /// Who waits for the right to hold a connection for long. A tenant's pools wait in one line.
    pub(super) long_waiters: Waiters<TenantId, LongWaiter>,
    /// When to look again by itself.
    looks_at: Option<Duration>,
    /// Somebody is at it.
    is_carrying_out: bool,
    /// It was said that the share is too small, or held whole.
    has_complained: bool,
}

pub(super) struct Member {
    pub(super) tenant: TenantId,
    pool: Weak<Pool>,
    glance: Arc<Glance>,
}

impl Core {
    pub(super) fn new(allocator: Allocator) -> Self {
        Self {
            allocator,
            members: HashMap::new(),
            long_waiters: Waiters::default(),
            looks_at: None,
            is_carrying_out: false,
            has_complained: false,
        }
    }

    /// Idle connections of all pools.
    pub(super) fn idle(&self) -> u32 {
        self.members.values().map(|member| member.glance.count()).sum()
    }

    fn settle(&mut self, now: Duration) -> Option<Duration> {
        let members = &self.members;
        let idle = |id| members.get(&id).map_or_else(Idle::default, |member| member.glance.idle());
        self.allocator.settle(now, idle)
    }
}

impl Cluster {
    /// What times of the allocator's count from.
    pub(in crate::pool) fn clock(&self) -> Instant {
        self.clock
    }

    /// The budget is another one.
    pub(super) fn limit_is(self: &Arc<Self>, limit: u32) {
        self.note(|core| {
            core.allocator.set_limit(limit);
            core.has_complained = false;
        });
        self.carry_out();
        self.serve_long();
    }

    /// Adds a pool to those that share the budget, and to those of its tenant.
    pub(in crate::pool) fn join(
        &self,
        tenant: TenantId,
        terms: Terms,
        pool: Weak<Pool>,
        glance: Arc<Glance>,
    ) -> (MemberId, Arc<Siblings>) {
        let mut core = self.core();
        let (id, siblings) = core.allocator.join(tenant, terms);
        core.members.insert(id, Member { tenant, pool, glance });
        (id, siblings)
    }

    /// The pool wants nothing any more. What it holds still counts. May be called under its lock.
    pub(in crate::pool) fn leave(self: &Arc<Self>, id: MemberId) {
        let left = self.note(|core| {
            core.allocator.leave(id);
            // Who waited to hold one of its connections hears that nobody answers.
            let told = core.take_long_waiters(id);
            (core.members.remove(&id), told)
        });
        // Not under the lock: it might be the last to know the pool.
        drop(left);
    }

    /// Has the allocator know something, and carries out what it says. Not under a pool's lock.
    pub(in crate::pool) fn tell(self: &Arc<Self>, change: impl FnOnce(&mut Allocator)) {
        self.note(|core| change(&mut core.allocator));
        self.carry_out();
    }

    /// Has the allocator know something. May be called under a pool's lock; [`Cluster::carry_out`] comes after it.
    pub(in crate::pool) fn note_only(self: &Arc<Self>, change: impl FnOnce(&mut Allocator)) {
        self.note(|core| change(&mut core.allocator));
    }

    /// Has the pool been granted a permit that it has not noticed yet?
    pub(in crate::pool) fn has_granted(&self, id: MemberId) -> bool {
        self.core().allocator.has_granted(id)
    }

    /// Does somebody lack a connection? As of a moment ago.
    pub(in crate::pool) fn is_short(&self) -> bool {
        self.is_short.load(Ordering::SeqCst)
    }

    /// What becomes of a connection that is given back while somebody lacks one. Under its pool's lock.
    pub(in crate::pool) fn release(self: &Arc<Self>, id: MemberId, turn_is_over: bool) -> Release {
        self.note(|core| core.allocator.release(id, turn_is_over))
    }

    /// A connection has become idle while somebody lacks one: it may be taken in a moment.
    pub(in crate::pool) fn went_idle(self: &Arc<Self>, now: Instant) {
        let now = now.saturating_duration_since(self.clock);
        let at = now + IDLE_BEFORE_TAKEN;
        let known = Duration::from_micros(self.looks_at_us.load(Ordering::SeqCst));
        if known > at || is_lost(known, now) {
            self.look_again(&mut self.core(), now, at);
        }
    }

    /// A permit is free again.
    pub(in crate::pool) fn returned(self: &Arc<Self>, id: MemberId, phase: Phase) {
        let (is_empty, is_given_up) = self.note(|core| {
            let is_given_up = core.allocator.held() > core.allocator.limit();
            core.allocator.returned(id, phase);
            (core.allocator.held() == 0, is_given_up)
        });
        if is_empty {
            self.emptied.notify_waiters();
        }
        if is_given_up {
            self.wanting.notify_one();
        }
        self.carry_out();
    }

    /// A permit that the pool has not waited for.
    #[cfg(test)]
    pub(in crate::pool) fn permit_for(self: &Arc<Self>, id: MemberId) -> ConnectPermit {
        self.note(|core| core.allocator.take(id));
        ConnectPermit::new(Arc::clone(self), id)
    }

    /// Carries out what the allocator has decided. Not under a pool's lock.
    pub(in crate::pool) fn carry_out(self: &Arc<Self>) {
        {
            let mut core = self.core();
            // Whoever is at it goes on until nothing is left.
            if core.is_carrying_out || !core.allocator.has_actions() {
                return;
            }
            core.is_carrying_out = true;
        }
        let _at_it = AtIt(self);
        while let Some((action, pool)) = self.next_action() {
            match (action, pool) {
                (Action::Grant(id), Some(pool)) => pool.granted(ConnectPermit::new(Arc::clone(self), id)),
                (Action::Grant(id), None) => {
                    self.note(|core| core.allocator.took(id, 0));
                    self.returned(id, Phase::Open);
                }
                (Action::Evict(_), Some(pool)) => pool.evict_for_others(),
                (Action::Evict(id), None) => self.tell(|allocator| allocator.evicted(id, false)),
                (Action::Yield(_), Some(pool)) => pool.yield_to_others(),
                (Action::Yield(_), None) => {}
            }
        }
    }

    fn next_action(&self) -> Option<(Action, Option<Arc<Pool>>)> {
        let mut core = self.core();
        let Some(action) = core.allocator.next_action() else {
            core.is_carrying_out = false;
            return None;
        };
        let (Action::Grant(id) | Action::Evict(id) | Action::Yield(id)) = action;
        let pool = core.members.get(&id).and_then(|member| member.pool.upgrade());
        Some((action, pool))
    }

    pub(super) fn note<R>(self: &Arc<Self>, change: impl FnOnce(&mut Core) -> R) -> R {
        let now = self.clock.elapsed();
        let mut core = self.core();
        let result = change(&mut core);
        // Before anybody is asked what it has idle. Whoever has one idle from now on shows it, and looks at this
        // afterwards: so one of the two sees the other, and nobody waits beside an idle connection.
        self.is_short.store(core.allocator.is_short(), Ordering::SeqCst);
        if let Some(again) = core.settle(now) {
            self.look_again(&mut core, now, again);
        }
        let is_short = core.allocator.is_short();
        self.is_short.store(is_short, Ordering::SeqCst);
        let is_full = core.allocator.held() >= core.allocator.limit();
        let complains = is_short || is_full || core.useful_limit_for_long() > core.allocator.limit();
        let has_complained = std::mem::replace(&mut core.has_complained, complains);
        drop(core);
        if complains && !has_complained {
            self.wanting.notify_one();
        }
        result
    }

    /// Looks again then, at the latest.
    fn look_again(self: &Arc<Self>, core: &mut Core, now: Duration, at: Duration) {
        let Ok(runtime) = Handle::try_current() else { return };
        if core.looks_at.is_some_and(|known| known <= at && !is_lost(known, now)) {
            return;
        }
        core.looks_at = Some(at);
        self.looks_at_us.store(micros(at), Ordering::SeqCst);
        let (cluster, wakes) = (Arc::downgrade(self), self.clock + at);
        runtime.spawn(async move {
            tokio::time::sleep_until(wakes.into()).await;
            if let Some(cluster) = cluster.upgrade() {
                cluster.look(at);
            }
        });
    }

    fn look(self: &Arc<Self>, at: Duration) {
        self.note(|core| {
            // An earlier look may have been asked for since, and another after that.
            if core.looks_at == Some(at) {
                core.looks_at = None;
                self.looks_at_us.store(u64::MAX, Ordering::SeqCst);
            }
        });
        self.carry_out();
    }

    /// Other pools of the pool's tenant.
    pub(in crate::pool) fn pools_beside(&self, id: MemberId) -> usize {
        self.core().allocator.beside(id)
    }
}

/// Somebody carries actions out. Should it panic, others go on.
struct AtIt<'a>(&'a Cluster);

impl Drop for AtIt<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.core().is_carrying_out = false;
        }
    }
}

/// Was a look due so long ago that it does not come any more?
fn is_lost(look: Duration, now: Duration) -> bool {
    now > look.saturating_add(LOST_AFTER)
}

fn micros(at: Duration) -> u64 {
    u64::try_from(at.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
