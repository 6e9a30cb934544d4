//! What a pool's lock protects, and every change of it.
//!
//! A change is made under the lock and has its effects outside: connections are handed over or closed, clients told
//! and the allocator's decisions carried out when it has been let go.

mod after;
mod going;
mod granted;
mod waiter;

pub(super) use granted::Begin;

use super::allocator::reclaim::TURN;
use super::allocator::{Release, Terms};
use super::breaker::Attempt;
use super::checkout::{Asker, CheckoutError, Handed, queue_full};
use super::idle::{Glance, IdleConnections};
use super::servers::Server;
use super::waiters::{Ticket, Waiters};
use super::{Lease, Pool};
use crate::connect::ServerConnection;
use crate::error::Refusal;
use after::After;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};
use std::time::Instant;
use tenancy::Limits;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use waiter::Waiter;

/// The largest pool that any plan can ask for.
const POOL_SIZE_MAX: u32 = 10_000;

/// What whoever waits is answered.
pub(super) type Answer = Result<Handed, CheckoutError>;

/// A pool's changing parts.
pub(super) struct State {
    pub(super) limits: Limits,
    pub(super) idle: IdleConnections,
    pub(super) waiters: Waiters<Asker, Waiter>,
    /// What the allocator was told last: permits that are wanted.
    wanted: u32,
    /// The allocator is to be asked about connections that are given back.
    is_asked: bool,
    /// No login may be tried now: a task waits until one may.
    is_barred: bool,
    /// The right to try the next login, when a task has waited for it.
    attempt: Option<Attempt>,
    /// When the pool is due to be looked at for what is stale.
    due: Option<Instant>,
}

impl State {
    pub(super) fn new(limits: Limits, glance: Arc<Glance>) -> Self {
        Self {
            limits,
            idle: IdleConnections::new(glance),
            waiters: Waiters::default(),
            wanted: 0,
            is_asked: false,
            is_barred: false,
            attempt: None,
            due: None,
        }
    }
}

/// A pool under its lock, and what is to happen after it.
pub(super) struct Locked<'a> {
    pool: &'a Arc<Pool>,
    pub(super) state: MutexGuard<'a, State>,
    after: After,
}

/// What a pool may have of its cluster's budget.
pub(super) fn terms(limits: &Limits) -> Terms {
    Terms { floor: limits.floor, weight: limits.weight, cap: cap(limits) }
}

fn cap(limits: &Limits) -> u32 {
    limits.pool_size.min(POOL_SIZE_MAX)
}

impl Pool {
    /// Changes the pool, then does what follows from that.
    pub(super) fn locked<R>(self: &Arc<Self>, change: impl FnOnce(&mut Locked<'_>) -> R) -> R {
        let mut locked = Locked { pool: self, state: self.state(), after: After::default() };
        let result = change(&mut locked);
        let Locked { state, after, .. } = locked;
        drop(state);
        after.happen(self);
        result
    }
}

impl Locked<'_> {
    /// An idle connection, unless somebody waits for one. It counts as leased.
    pub(super) fn lease_idle(&mut self) -> Option<Box<ServerConnection>> {
        if !self.state.waiters.is_empty() {
            return None;
        }
        let connection = self.state.idle.take()?;
        // Whoever closes a tenant's gate looks at this number afterwards; whoever takes a lease looks at the gate.
        self.pool.leased.fetch_add(1, Ordering::SeqCst);
        Some(connection)
    }

    /// Adds a client to the queue, unless as many wait at the tenant's pools as may.
    pub(super) fn enqueue(
        &mut self,
        asker: Asker,
        sender: oneshot::Sender<Answer>,
        is_first: bool,
    ) -> Result<Ticket<Asker>, CheckoutError> {
        if self.pool.is_retired() {
            return Err(CheckoutError::Retired);
        }
        if let Some(refusal) = self.refusal() {
            return Err(refusal.into());
        }
        let (siblings, limit) = (self.pool.siblings(), self.state.limits.queue_limit);
        let ticket = if is_first {
            let waiter = Waiter::new(sender, siblings.queue_at_once());
            self.state.waiters.push_first(asker, waiter)
        } else {
            let place = siblings.queue(limit).ok_or_else(|| queue_full(limit))?;
            self.state.waiters.push(asker, 1, Waiter::new(sender, place))
        };
        // One may have become idle since the client looked.
        if let Some(connection) = self.state.idle.take() {
            self.pool.leased.fetch_add(1, Ordering::SeqCst);
            self.hand_on(connection, Instant::now());
        }
        self.sync();
        Ok(ticket)
    }

    /// A client waits no longer.
    pub(super) fn dequeue(&mut self, ticket: Ticket<Asker>) {
        if self.state.waiters.remove(ticket).is_some() {
            self.sync();
        }
    }

    /// A leased connection is given back, clean: to the next who waits, to the idle ones, or to nobody.
    pub(super) fn give_back(&mut self, mut connection: Box<ServerConnection>, now: Instant) {
        if self.must_close(&mut connection, now) {
            return self.lose(connection);
        }
        connection.mark_idle(now);
        if let Some(server) = connection.listed() {
            server.given_back();
        }
        self.hand_on(connection, now);
    }

    /// A leased connection is closed.
    pub(super) fn lose(&mut self, connection: Box<ServerConnection>) {
        self.pool.leased.fetch_sub(1, Ordering::AcqRel);
        self.after.closed_one = Some(connection);
        self.expire_when_empty();
        self.sync();
    }

    /// A connection was opened.
    pub(super) fn opened(&mut self, connection: Box<ServerConnection>, now: Instant) {
        self.pool.opening.fetch_sub(1, Ordering::AcqRel);
        if self.pool.is_retired() {
            self.after.closed_one = Some(connection);
            return;
        }
        if connection.began_with != self.pool.session_defaults() {
            // They have changed since it began. Another is opened for whoever waits.
            self.after.closed_one = Some(connection);
            self.expire_when_empty();
            return self.sync();
        }
        self.pool.leased.fetch_add(1, Ordering::SeqCst);
        self.hand_on(connection, now);
        self.sync();
    }

    /// An attempt to open one has ended without.
    pub(super) fn not_opened(&mut self) {
        self.pool.opening.fetch_sub(1, Ordering::AcqRel);
        self.expire_when_empty();
        self.sync();
    }

    /// A connection that counts as leased goes to the next who waits, or to one soon after on its own thread; or it is
    /// idle from now on.
    fn hand_on(&mut self, connection: Box<ServerConnection>, now: Instant) {
        let home = connection.home();
        match self.state.waiters.pop_preferring(|waiter| waiter.is_patient(now), |waiter| waiter.is_at(home))
        {
            Some(waiter) => {
                self.sync();
                let lease = Lease::new(connection, Arc::clone(self.pool), now);
                self.after.handed = Some((waiter.sender, Handed::new(lease)));
            }
            None => {
                let expires = connection.expires(&self.pool.expiry);
                self.state.idle.put(connection);
                self.pool.leased.fetch_sub(1, Ordering::AcqRel);
                self.expire_at(expires);
                if self.may_be_lacked() {
                    self.pool.cluster().went_idle(now);
                }
            }
        }
    }

    /// Is it of no more use here, or to be given up for others?
    fn must_close(&mut self, connection: &mut ServerConnection, now: Instant) -> bool {
        let is_unwanted = connection.listed().is_some_and(Server::close_needed);
        self.pool.is_retired()
            || is_unwanted
            || connection.began_with != self.pool.session_defaults()
            || connection.age(now) >= self.pool.expiry.lifetime_max
            || (self.may_be_lacked() && self.yields(connection, now))
    }

    /// Does somebody lack a connection that could be one of these, or are there too many? As of a moment ago.
    fn may_be_lacked(&self) -> bool {
        self.pool.cluster().is_short() || self.pool.siblings().is_crowded()
    }

    fn yields(&mut self, connection: &mut ServerConnection, now: Instant) -> bool {
        let turn_is_over = connection.turn_lasts(now) >= TURN;
        if !turn_is_over && !self.state.is_asked {
            return false;
        }
        self.after.allocator_was_told = true;
        match self.pool.cluster().release(self.pool.member(), turn_is_over) {
            Release::Close => {
                connection.is_given_up();
                self.pool.usage().evictions.inc();
                return true;
            }
            Release::NextTurn => connection.turn_begins(now),
            Release::Keep => {
                self.state.is_asked = false;
                if turn_is_over {
                    // It asks once in a turn, and not at the end of each transaction.
                    connection.turn_begins(now);
                }
            }
        }
        false
    }

    /// Nobody who waits is to wait any longer. Says how many did.
    pub(super) fn refuse_all(&mut self, why: impl Fn() -> CheckoutError) -> usize {
        self.state.is_barred = false;
        let told_before = self.after.told.len();
        while let Some(waiter) = self.state.waiters.pop() {
            self.after.told.push((waiter.sender, why()));
        }
        self.sync();
        self.after.told.len() - told_before
    }

    /// The same, unless they can hope for a connection that the pool has. Says whether they cannot.
    pub(super) fn refuse_if_hopeless(&mut self, refusal: &Refusal) -> bool {
        let is_hopeless = !self.holds_any();
        if is_hopeless {
            let refused = self.refuse_all(|| CheckoutError::Refused(refusal.clone()));
            self.pool.connector.logins().refused(refused);
        }
        is_hopeless
    }

    /// Does it have a connection that those who wait can hope for? Between the two counts it may seem to have none to
    /// whoever looks at them without the lock.
    pub(super) fn holds_any(&self) -> bool {
        self.state.idle.count() + self.pool.leased() > 0
    }

    /// What a client is refused with that has no connection to hope for, nor a login.
    fn refusal(&self) -> Option<Refusal> {
        if self.holds_any() {
            return None;
        }
        let logins = self.pool.connector.logins();
        logins.refusal(Instant::now()).inspect(|_refusal| logins.refused(1))
    }

    /// The allocator wants to be asked about what is given back.
    pub(super) fn asked(&mut self) {
        self.state.is_asked = true;
    }

    /// Connections that it has or opens.
    fn size(&self) -> u32 {
        self.pool.leased() + self.pool.opening() + self.state.idle.count()
    }

    /// Connections that it would open now. A pool that has none opens one to begin with.
    fn lacking(&self) -> u32 {
        if self.state.is_barred || self.pool.is_retired() {
            return 0;
        }
        let waiting = u32::try_from(self.state.waiters.len()).unwrap_or(u32::MAX);
        let useful = if self.holds_any() { waiting } else { waiting.min(1) };
        let room = cap(&self.state.limits).saturating_sub(self.size());
        useful.saturating_sub(self.pool.opening()).min(room)
    }

    /// Has the allocator know how many connections are lacking.
    fn sync(&mut self) {
        self.show_waiting();
        let wanted = self.lacking();
        if wanted == 0 && self.state.attempt.is_some() {
            // Others of the cluster wait for what comes of it.
            self.after.attempt = self.state.attempt.take();
        }
        if wanted != self.state.wanted {
            self.state.wanted = wanted;
            self.tell(|allocator, id| allocator.want(id, wanted));
        }
    }

    fn show_waiting(&self) {
        let waiting = u32::try_from(self.state.waiters.len()).unwrap_or(u32::MAX);
        self.pool.waiting.store(waiting, Ordering::Release);
    }

    fn tell(&mut self, change: impl FnOnce(&mut super::allocator::Allocator, super::allocator::MemberId)) {
        let id = self.pool.member();
        self.pool.cluster().note_only(|allocator| change(allocator, id));
        self.after.allocator_was_told = true;
    }

    /// Where whoever is next waits.
    fn runtime(&self) -> Option<Handle> {
        let of_next = self.state.waiters.peek().and_then(|waiter| waiter.runtime.clone());
        of_next.or_else(|| Handle::try_current().ok())
    }
}
