//! Pools, their clients and a server, as far as the allocator can tell them from real ones.

mod counts;
mod pool;

use super::super::reclaim::TURN;
use super::super::{Action, Allocator, Idle, LongHold, Phase, Release, Terms};
use pool::Pool;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;
use tenancy::TenantId;

/// How long a server takes to let go of a connection that is closed.
const CLOSE: Duration = Duration::from_millis(1);
/// How long a login takes.
const LOGIN: Duration = Duration::from_millis(4);
/// More looks than this at one instant do not come to an end.
const LOOKS_MAX: usize = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Opened(usize),
    Closed(usize),
    /// A transaction ends on a connection whose turn began then.
    Ended(usize, Duration),
    Look,
}

/// One cluster.
pub(super) struct World {
    pub(super) allocator: Allocator,
    pub(super) pools: Vec<Pool>,
    /// Tenants, and the pools of each that have not left.
    tenants: Vec<(TenantId, Vec<usize>)>,
    pub(super) now: Duration,
    pub(super) grants_in_order: Vec<usize>,
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    events_made: u64,
    /// How often the allocator was asked at the last instant at which it was.
    looks: (Duration, usize),
}

impl World {
    pub(super) fn new(limit: u32) -> Self {
        Self {
            allocator: Allocator::new(limit, 80),
            pools: Vec::new(),
            tenants: Vec::new(),
            now: Duration::ZERO,
            grants_in_order: Vec::new(),
            events: BinaryHeap::new(),
            events_made: 0,
            looks: (Duration::ZERO, 0),
        }
    }

    /// A tenant with one pool.
    pub(super) fn join(&mut self, terms: Terms, work_ms: u64) -> usize {
        self.tenants.push((TenantId::generate(), Vec::new()));
        self.join_of(self.tenants.len() - 1, terms, work_ms)
    }

    /// Another pool of this one's tenant.
    pub(super) fn join_beside(&mut self, pool: usize, work_ms: u64) -> usize {
        let Pool { tenant, terms, .. } = self.pools[pool];
        self.join_of(tenant, terms, work_ms)
    }

    fn join_of(&mut self, tenant: usize, terms: Terms, work_ms: u64) -> usize {
        let (id, siblings) = self.allocator.join(self.tenants[tenant].0, terms);
        self.tenants[tenant].1.push(self.pools.len());
        let work = Duration::from_millis(work_ms);
        self.pools.push(Pool {
            id,
            tenant,
            siblings,
            terms,
            work,
            is_greedy: false,
            waiters: 0,
            opening: 0,
            idle: Vec::new(),
            leased: 0,
            long: 0,
            closing: 0,
            served: 0,
            is_asked: false,
            has_left: false,
        });
        self.pools.len() - 1
    }

    /// Pools whose clients come back as soon as they were served.
    pub(super) fn greedy(&mut self, terms: Terms, clients: u32, work_ms: u64) -> usize {
        let pool = self.join(terms, work_ms);
        self.pools[pool].is_greedy = true;
        self.arrive(pool, clients);
        pool
    }

    pub(super) fn arrive(&mut self, pool: usize, clients: u32) {
        self.pools[pool].waiters += clients;
        self.serve_waiters(pool);
        self.settle();
    }

    /// Clients that wait leave.
    pub(super) fn give_up(&mut self, pool: usize, clients: u32) {
        let pool_now = &mut self.pools[pool];
        pool_now.waiters -= clients.min(pool_now.waiters);
        self.report(pool);
        self.settle();
    }

    /// A client in session mode takes an idle connection and does not give it back.
    pub(super) fn keep_long(&mut self, pool: usize) -> bool {
        let id = self.pools[pool].id;
        if self.pools[pool].idle.is_empty() || !self.allocator.keep_long(id, LongHold::Session) {
            return false;
        }
        let pool = &mut self.pools[pool];
        pool.idle.pop();
        pool.leased += 1;
        pool.long += 1;
        true
    }

    /// It gives it back after all.
    pub(super) fn end_long(&mut self, pool: usize) {
        if self.pools[pool].long > 0 {
            self.pools[pool].long -= 1;
            self.allocator.end_long(self.pools[pool].id, LongHold::Session);
            self.ended(pool, self.now);
            self.settle();
        }
    }

    pub(super) fn set_terms(&mut self, pool: usize, terms: Terms) {
        if !self.pools[pool].has_left {
            for sibling in self.group(pool).to_vec() {
                self.pools[sibling].terms = terms;
                self.allocator.set_terms(self.pools[sibling].id, terms);
                self.report(sibling);
            }
            self.settle();
        }
    }

    pub(super) fn set_limit(&mut self, limit: u32) {
        self.allocator.set_limit(limit);
        self.settle();
    }

    pub(super) fn leave(&mut self, pool: usize) {
        self.pools[pool].has_left = true;
        self.tenants[self.pools[pool].tenant].1.retain(|other| *other != pool);
        self.pools[pool].waiters = 0;
        self.allocator.leave(self.pools[pool].id);
        for _ in 0..std::mem::take(&mut self.pools[pool].idle).len() {
            self.close(pool, true);
        }
        self.settle();
    }

    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(Reverse((at, _, event))) = self.events.peek().copied()
            && at <= until
        {
            self.events.pop();
            self.now = at;
            match event {
                Event::Opened(pool) => self.opened(pool),
                Event::Closed(pool) => {
                    self.pools[pool].closing -= 1;
                    self.allocator.returned(self.pools[pool].id, Phase::Closing);
                }
                Event::Ended(pool, turn_began) => self.ended(pool, turn_began),
                Event::Look => {}
            }
            self.settle();
        }
        self.now = until;
    }

    fn opened(&mut self, pool: usize) {
        let now = self.now;
        self.pools[pool].opening -= 1;
        if self.pools[pool].has_left {
            return self.close(pool, true);
        }
        self.pools[pool].idle.push((now, now));
        self.serve_waiters(pool);
    }

    fn ended(&mut self, pool: usize, turn_began: Duration) {
        let now = self.now;
        let world_pool = &mut self.pools[pool];
        world_pool.leased -= 1;
        world_pool.served += 1;
        world_pool.waiters += u32::from(world_pool.is_greedy && !world_pool.has_left);
        let turn_is_over = now - turn_began >= TURN;
        let mut turn_began = turn_began;
        if world_pool.has_left {
            return self.close(pool, true);
        }
        let is_short = self.allocator.is_short() || self.pools[pool].siblings.is_crowded();
        if is_short && (self.pools[pool].is_asked || turn_is_over) {
            match self.allocator.release(self.pools[pool].id, turn_is_over) {
                Release::Close => return self.close(pool, false),
                Release::NextTurn => turn_began = now,
                Release::Keep => self.pools[pool].is_asked = false,
            }
        }
        self.pools[pool].idle.push((now, turn_began));
        self.serve_waiters(pool);
    }

    /// The connection is no longer the pool's. `tell`: the allocator does not know yet.
    fn close(&mut self, pool: usize, tell: bool) {
        if tell {
            self.allocator.closing(self.pools[pool].id);
        }
        self.pools[pool].closing += 1;
        self.later(CLOSE, Event::Closed(pool));
        self.report(pool);
    }

    fn serve_waiters(&mut self, pool: usize) {
        while self.pools[pool].waiters > 0
            && let Some((_, turn_began)) = self.pools[pool].idle.pop()
        {
            self.pools[pool].waiters -= 1;
            self.pools[pool].leased += 1;
            self.later(self.pools[pool].work, Event::Ended(pool, turn_began));
        }
        self.report(pool);
    }

    fn report(&mut self, pool: usize) {
        self.allocator.want(self.pools[pool].id, self.wanted(pool));
    }

    fn settle(&mut self) {
        loop {
            self.looks = if self.looks.0 == self.now { (self.now, self.looks.1 + 1) } else { (self.now, 0) };
            assert!(self.looks.1 < LOOKS_MAX, "no end of looks at {:?}", self.now);
            let pools = &self.pools;
            let idle_of = |id| pools.iter().find(|pool| pool.id == id).map_or_else(Idle::default, Pool::idle);
            let again = self.allocator.settle(self.now, idle_of);
            if let Some(again) = again.filter(|again| *again > self.now) {
                self.events_made += 1;
                self.events.push(Reverse((again, self.events_made, Event::Look)));
            }
            let mut acted = false;
            while let Some(action) = self.allocator.next_action() {
                acted = true;
                self.carry_out(action);
            }
            if !acted {
                return self.check();
            }
        }
    }

    fn carry_out(&mut self, action: Action) {
        let find = |id| self.pools.iter().position(|pool| pool.id == id).expect("known");
        match action {
            Action::Grant(id) => {
                let pool = find(id);
                self.granted(pool);
            }
            Action::Evict(id) => {
                let pool = find(id);
                let has_idle = !self.pools[pool].idle.is_empty();
                self.allocator.evicted(id, has_idle);
                if has_idle {
                    self.pools[pool].idle.remove(0);
                    self.close(pool, false);
                }
            }
            Action::Yield(id) => {
                let pool = find(id);
                self.pools[pool].is_asked = true;
            }
        }
    }

    fn granted(&mut self, pool: usize) {
        self.grants_in_order.push(pool);
        assert!(self.held() < self.allocator.in_force(), "a connection too many");
        let is_wanted = self.wanted(pool) > 0;
        if is_wanted {
            self.pools[pool].opening += 1;
            let cap = self.pools[pool].terms.cap;
            assert!(self.open_beside(pool) <= cap, "beyond the cap");
            assert!(self.held_beside(pool) <= 2 * cap, "beyond the cap with those that end");
            self.later(LOGIN, Event::Opened(pool));
        }
        self.allocator.took(self.pools[pool].id, self.wanted(pool));
        if !is_wanted {
            self.allocator.returned(self.pools[pool].id, Phase::Open);
        }
    }

    fn later(&mut self, time: Duration, event: Event) {
        self.events_made += 1;
        self.events.push(Reverse((self.now + time, self.events_made, event)));
    }
}
