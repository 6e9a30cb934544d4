//! A cluster's address, as all pools share it that lead there: its breaker, and places for logins.

use super::machine::{Breaker, Denied, Prognosis, Settings, Standing, Ticket};
use super::pause::{Jitter, Pauses};
use crate::connect::ConnectError;
use crate::error::Refusal;
use crate::metrics::Counter;
use catalog_schema::{ClusterRecord, ClusterTls};
use config::PoolConfig;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// While clients wait, a server that is back is found this soon: a login that is refused costs next to nothing.
const TRYING: Pauses = Pauses { first: Duration::from_millis(50), longest: Duration::from_millis(500) };

/// The first pause once clients are refused.
const OPEN_FIRST: Duration = Duration::from_millis(500);

/// Where a login goes, how, and to whom. Another address is another server, other settings of TLS may do what these do
/// not, and what is the wrong server now is the right one when the catalog says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    host: String,
    port: u16,
    system_identifier: String,
    tls: ClusterTls,
}

impl From<&ClusterRecord> for Way {
    fn from(record: &ClusterRecord) -> Self {
        Self {
            host: record.host.clone(),
            port: record.port,
            system_identifier: record.system_identifier.clone(),
            tls: record.tls.clone(),
        }
    }
}

/// What keeps a server from being logged in to.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// What clients hear.
    pub refusal: Refusal,
    /// What operators hear.
    pub words: String,
}

impl From<&ConnectError> for Trouble {
    fn from(error: &ConnectError) -> Self {
        let mut words = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            words = format!("{words}: {cause}");
            source = cause.source();
        }
        Self { refusal: error.refusal(), words }
    }
}

impl Trouble {
    /// The refusal of a client while the next login is so far away; none while one is under way.
    pub(super) fn refuse(&self, next: Option<Duration>) -> Refusal {
        // At least a moment: to come back in no time would be to come back in step with the others.
        let pause = next.map_or(OPEN_FIRST, |pause| pause.max(Duration::from_millis(10)));
        let hint = match next {
            Some(_) => format!("the gateway tries again in {} ms", pause.as_millis()),
            None => "the gateway is trying again just now".to_owned(),
        };
        self.refusal.clone().hint(hint).retry_after(pause)
    }
}

/// An address of a cluster.
pub struct Endpoint {
    way: Way,
    /// The cluster's name, for the log.
    name: String,
    behaviour: Settings,
    inner: Mutex<Inner>,
    /// Rung whenever a login may be tried that could not before, or clients are to be refused.
    changed: Notify,
    places: Arc<Semaphore>,
    places_max: u32,
    counts: Arc<LoginCounts>,
}

/// What is counted of a cluster's logins, wherever it was at the time.
#[derive(Debug, Default)]
pub struct LoginCounts {
    /// Times that it began to fail, was opened, and was closed again.
    pub transitions: [Counter; 3],
    /// Logins that succeeded.
    pub succeeded: Counter,
    /// Logins that failed, whoever is to blame.
    pub failed: Counter,
    /// Clients refused because the breaker was open.
    pub refused: Counter,
}

/// What [`LoginCounts::transitions`] lead to.
pub const TRANSITIONS: [Standing; 3] = [Standing::Trying, Standing::Open, Standing::Closed];

struct Inner {
    breaker: Breaker,
    trouble: Option<Trouble>,
}

/// What operators see of an endpoint.
#[derive(Debug, Clone)]
pub struct Outlook {
    /// Where its breaker stands.
    pub standing: Standing,
    /// The time until the next login is tried, while logins fail.
    pub next: Option<Duration>,
    /// What was wrong with the last one, while logins fail.
    pub words: Option<String>,
    /// Logins under way.
    pub logins: u32,
}

impl Endpoint {
    /// The address in this record, of which nothing is known yet.
    #[must_use]
    pub fn new(record: &ClusterRecord, settings: &PoolConfig, counts: Arc<LoginCounts>) -> Arc<Self> {
        let behaviour = Settings {
            patience: settings.outage_patience(),
            trying: TRYING,
            open: Pauses { first: OPEN_FIRST, longest: settings.retry_pause_max().max(OPEN_FIRST) },
        };
        Arc::new(Self {
            way: record.into(),
            name: record.name.to_string(),
            behaviour,
            inner: Mutex::new(Inner { breaker: Breaker::new(behaviour), trouble: None }),
            changed: Notify::new(),
            places: Arc::new(Semaphore::new(settings.logins_at_once as usize)),
            places_max: settings.logins_at_once,
            counts,
        })
    }

    /// Is it the one that this record means?
    #[must_use]
    pub fn is_of(&self, record: &ClusterRecord) -> bool {
        self.way == record.into()
    }

    /// Is a login to be expected to succeed, as far as we know?
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.inner().breaker.standing() == Standing::Closed
    }

    /// What operators see.
    #[must_use]
    pub fn outlook(&self, now: Instant) -> Outlook {
        let free = u32::try_from(self.places.available_permits()).unwrap_or(u32::MAX);
        let inner = self.inner();
        Outlook {
            standing: inner.breaker.standing(),
            next: inner.breaker.outage().map(|(_, next)| next.saturating_duration_since(now)),
            words: inner.trouble.as_ref().map(|trouble| trouble.words.clone()),
            logins: self.places_max.saturating_sub(free),
        }
    }

    /// How its breaker behaves, and those of the pools that lead here.
    pub(super) const fn behaviour(&self) -> Settings {
        self.behaviour
    }

    pub(super) fn counts(&self) -> &LoginCounts {
        &self.counts
    }

    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// A place among the logins under way, in order of arrival.
    pub(super) async fn place(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.places).acquire_owned().await.expect("the semaphore is never closed")
    }

    pub(super) fn may_try(&self, now: Instant) -> Result<Ticket, Denied> {
        self.inner().breaker.may_try(now)
    }

    pub(super) fn renew(&self, ticket: Ticket, now: Instant) -> Result<Ticket, Denied> {
        self.inner().breaker.renew(ticket, now)
    }

    /// What a client is refused with that has no connection to hope for.
    pub(super) fn refusal(&self, now: Instant) -> Option<Refusal> {
        let inner = self.inner();
        let next = inner.breaker.refuses(now)?;
        inner.trouble.as_ref().map(|trouble| trouble.refuse(next))
    }

    /// What is wrong, while something is: for a client that has waited in vain.
    pub(super) fn trouble(&self) -> Option<Refusal> {
        self.inner().trouble.as_ref().map(|trouble| trouble.refusal.clone())
    }

    pub(super) fn given_up(&self, ticket: &Ticket) {
        self.inner().breaker.given_up(ticket);
        self.changed.notify_waiters();
    }

    /// The server has answered as a server does.
    pub(super) fn is_alive(&self) {
        let mut inner = self.inner();
        let before = (inner.breaker.standing(), inner.breaker.outage());
        inner.breaker.succeeded();
        inner.trouble = None;
        drop(inner);
        self.changed.notify_waiters();
        if let (Standing::Trying | Standing::Open | Standing::Probing, Some((since, _))) = before {
            self.counts.transitions[2].inc();
            let lasted_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(cluster = %self.name, lasted_ms, "logins to the cluster succeed again");
        }
    }

    pub(super) fn failed(&self, ticket: &Ticket, prognosis: Prognosis, error: &ConnectError, now: Instant) {
        let mut inner = self.inner();
        let before = inner.breaker.standing();
        inner.breaker.failed(ticket, prognosis, now, Jitter::random());
        let after = inner.breaker.standing();
        if after != Standing::Closed {
            inner.trouble = Some(error.into());
        }
        drop(inner);
        self.changed.notify_waiters();
        self.note(before, after);
    }

    fn note(&self, before: Standing, after: Standing) {
        match (before, after) {
            (Standing::Closed, Standing::Trying) => {
                self.counts.transitions[0].inc();
                tracing::warn!(cluster = %self.name, "logins to the cluster fail; clients wait for it");
            }
            (Standing::Closed | Standing::Trying, Standing::Open) => {
                self.counts.transitions[1].inc();
                tracing::error!(cluster = %self.name, "logins to the cluster keep failing; clients are refused");
            }
            _ => {}
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
