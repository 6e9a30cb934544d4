//! What a pool asks before it logs in to its server.

use super::endpoint::{Endpoint, Trouble};
use super::machine::{Breaker, Denied, Prognosis, Standing, Ticket};
use super::pause::Jitter;
use crate::connect::{Blame, ConnectError};
use crate::error::Refusal;
use crate::resolve::Doubts;
use std::future::pending;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tenancy::TenantId;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::sleep_until;

/// A pool's logins: its own breaker, and its endpoint's.
pub struct Logins {
    endpoint: Arc<Endpoint>,
    tenant: TenantId,
    /// Where it is said that the tenant's route may be out of date.
    doubts: Arc<Doubts>,
    own: Mutex<Own>,
    changed: Notify,
}

struct Own {
    breaker: Breaker,
    trouble: Option<Trouble>,
    /// Attempts that are out.
    under_way: u32,
}

/// Why no login may be tried now.
#[derive(Debug)]
pub struct NotNow {
    /// When to ask again; none: when [`Logins::changed`] says so.
    pub again: Option<Instant>,
    /// What clients are refused with that have no connection of the pool's to hope for. None: they may wait.
    pub refusal: Option<Refusal>,
}

impl Logins {
    /// Those of a tenant's pool that leads to this endpoint.
    #[must_use]
    pub fn new(endpoint: Arc<Endpoint>, tenant: TenantId, doubts: Arc<Doubts>) -> Arc<Self> {
        let own = Own { breaker: Breaker::new(endpoint.behaviour()), trouble: None, under_way: 0 };
        Arc::new(Self { endpoint, tenant, doubts, own: Mutex::new(own), changed: Notify::new() })
    }

    /// Where they go.
    #[must_use]
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// May a login be tried now? A pool that `holds` no connection tries one at a time.
    ///
    /// Whoever may tries it soon, or drops the attempt: others may be waiting for how it ends.
    ///
    /// # Errors
    /// Not now.
    pub fn may_try(self: &Arc<Self>, now: Instant, holds: bool) -> Result<Attempt, NotNow> {
        let denied = |denied| self.not_now(now, denied);
        let mut own = self.own();
        if !holds && own.under_way > 0 {
            drop(own);
            return Err(denied(Denied::UnderWay));
        }
        let tickets = own.breaker.may_try(now).and_then(|ours| match self.endpoint.may_try(now) {
            Ok(shared) => Ok((ours, shared)),
            Err(not_now) => {
                own.breaker.given_up(&ours);
                Err(not_now)
            }
        });
        own.under_way += u32::from(tickets.is_ok());
        drop(own);
        let (ours, shared) = tickets.map_err(denied)?;
        Ok(Attempt { logins: Arc::clone(self), ours: Some(ours), shared: Some(shared), _place: None })
    }

    /// What a client is refused with that has no connection of the pool's to hope for. None: it may wait.
    #[must_use]
    pub fn refusal(&self, now: Instant) -> Option<Refusal> {
        self.endpoint.refusal(now).or_else(|| {
            let own = self.own();
            let next = own.breaker.refuses(now)?;
            own.trouble.as_ref().map(|trouble| trouble.refuse(next))
        })
    }

    /// What is wrong, while something is: for a client that has waited in vain.
    #[must_use]
    pub fn trouble(&self) -> Option<Refusal> {
        self.endpoint.trouble().or_else(|| self.own().trouble.as_ref().map(|trouble| trouble.refusal.clone()))
    }

    /// So many clients were refused with [`Logins::refusal`].
    pub fn refused(&self, clients: usize) {
        self.endpoint.counts().refused.add(u64::try_from(clients).unwrap_or(u64::MAX));
    }

    /// Is a login to be expected to succeed, as far as we know?
    #[must_use]
    pub fn are_well(&self) -> bool {
        self.own().breaker.standing() == Standing::Closed && self.endpoint.is_well()
    }

    /// Resolves when a login may be tried that could not before, or clients are to be refused. What happens between
    /// the call and the first poll counts.
    pub fn changed(&self) -> impl Future<Output = ()> + '_ {
        let (ours, shared) = (self.changed.notified(), self.endpoint.changed());
        async move {
            tokio::select! {
                () = ours => {}
                () = shared => {}
            }
        }
    }

    /// Waits until a login may be tried.
    ///
    /// # Errors
    /// Clients are to be refused, unless the pool `holds` a connection that they can wait for.
    pub async fn turn(self: &Arc<Self>, holds: impl Fn() -> bool) -> Result<Attempt, Refusal> {
        loop {
            let mut changed = pin!(self.changed());
            let NotNow { again, refusal } = match self.may_try(Instant::now(), holds()) {
                Ok(attempt) => return Ok(attempt),
                Err(not_now) => not_now,
            };
            if let Some(refusal) = refusal.filter(|_| !holds()) {
                return Err(refusal);
            }
            let pause = async {
                match again {
                    Some(again) => sleep_until(again.into()).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = &mut changed => {}
                () = pause => {}
            }
        }
    }

    fn not_now(&self, now: Instant, denied: Denied) -> NotNow {
        let again = match denied {
            Denied::Until(next) => Some(next),
            Denied::UnderWay => None,
        };
        NotNow { again, refusal: self.refusal(now) }
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to try one login. Dropped, it was not tried, and says nothing.
pub struct Attempt {
    logins: Arc<Logins>,
    ours: Option<Ticket>,
    shared: Option<Ticket>,
    /// Its place among the cluster's logins, from [`Attempt::begin`] on.
    _place: Option<OwnedSemaphorePermit>,
}

impl Attempt {
    /// Waits for a place among the logins of the cluster. None: so much has changed meanwhile that whoever wants a
    /// connection has to ask anew.
    pub async fn begin(mut self) -> Option<Self> {
        self._place = Some(self.logins.endpoint.place().await);
        let now = Instant::now();
        let logins = Arc::clone(&self.logins);
        self.shared = logins.endpoint.renew(self.shared.take()?, now).ok();
        self.shared.as_ref()?;
        self.ours = logins.own().breaker.renew(self.ours.take()?, now).ok();
        self.ours.as_ref()?;
        Some(self)
    }

    /// The server has let us in.
    pub fn succeeded(mut self) {
        let endpoint = &self.logins.endpoint;
        endpoint.counts().succeeded.inc();
        endpoint.is_alive();
        (self.ours, self.shared) = (None, None);
        let mut own = self.logins.own();
        own.breaker.succeeded();
        own.trouble = None;
    }

    /// It has not. What clients are refused with that have no connection of the pool's to hope for, if they are to be.
    #[must_use]
    pub fn failed(mut self, error: &ConnectError) -> Option<Refusal> {
        let (logins, now) = (Arc::clone(&self.logins), Instant::now());
        logins.endpoint.counts().failed.inc();
        if error.doubts_route() {
            logins.doubts.raise(logins.tenant);
        }
        match error.blame() {
            Blame::Cluster(prognosis) => {
                if let Some(ticket) = self.shared.take() {
                    logins.endpoint.failed(&ticket, prognosis, error, now);
                }
            }
            Blame::Tenant(prognosis) => {
                self.shared = None;
                logins.endpoint.is_alive();
                self.failed_here(prognosis, error, now);
            }
            Blame::Unclear => self.failed_here(Prognosis::Doubtful, error, now),
        }
        drop(self);
        logins.refusal(Instant::now())
    }

    fn failed_here(&mut self, prognosis: Prognosis, error: &ConnectError, now: Instant) {
        let Some(ticket) = self.ours.take() else { return };
        let mut own = self.logins.own();
        own.breaker.failed(&ticket, prognosis, now, Jitter::random());
        own.trouble = Some(error.into());
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(ticket) = self.shared.take() {
            self.logins.endpoint.given_up(&ticket);
        }
        let mut own = self.logins.own();
        if let Some(ticket) = self.ours.take() {
            own.breaker.given_up(&ticket);
        }
        own.under_way = own.under_way.saturating_sub(1);
        drop(own);
        self.logins.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
