//! Limits on what a client does, without a timer for each request.
//!
//! When something begins that has a limit, the clock is read, once; where nothing has a limit it never is. One
//! timer wakes the session. It is set when it is first needed, and stays while what it was set for ends and other
//! things begin: when it fires it is held against what the client does then, and set again for what is left of that.
//! One that fires for nothing is given up when nothing has a limit any more, so that a client that only waits holds
//! none.
//!
//! A limit is never enforced early. It may be enforced late, by as long as the session is busy.

mod limits;

pub use limits::TimeLimits;

use crate::error::Refusal;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tenancy::ErrorKind;
use tokio::time::{Instant, Sleep, sleep_until};

/// What a client is doing, as far as there are limits on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Doing {
    /// It has no server connection and sends nothing.
    #[default]
    Idle,
    /// The server owes it an answer.
    Working,
    /// The server waits for it in a transaction.
    IdleInTransaction,
    /// It has a server connection to itself and sends nothing.
    PinnedIdle,
    /// Its request took too long, and the server was asked to end it.
    Cancelling,
    /// It will send nothing more, and may want to read the answers.
    Leaving,
}

impl Doing {
    const fn is_within_transaction(self) -> bool {
        matches!(self, Self::Working | Self::IdleInTransaction | Self::Cancelling | Self::Leaving)
    }
}

/// What a client does now, and what has ended since the last look.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moment {
    /// What it does.
    pub doing: Doing,
    /// A request has ended: what it does now is a new one.
    pub request_ended: bool,
    /// A statement has ended likewise. A request may have several.
    pub statement_ended: bool,
    /// A transaction has ended likewise.
    pub transaction_ended: bool,
}

/// What an exchange notes for the limits.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    request_ended: bool,
    statement_ended: bool,
    transaction_ended: bool,
    /// What the request under way took too long for.
    overtime: Option<Limit>,
    /// A cancel is on its way to the server.
    held: bool,
    /// Requests of the client's that were answered since that was last asked.
    answers: u32,
}

impl Pace {
    /// The server is ready for the next request.
    pub fn request_ended(&mut self, is_idle: bool) {
        (self.request_ended, self.overtime) = (true, None);
        self.transaction_ended |= is_idle;
    }

    /// A statement of the request has run, or a part of it that was asked for.
    pub fn statement_ended(&mut self) {
        self.statement_ended = true;
    }

    /// A request of the client's has its answer.
    pub fn answered(&mut self) {
        self.answers = self.answers.saturating_add(1);
    }

    /// How many had since this was last asked.
    pub fn take_answers(&mut self) -> u32 {
        std::mem::take(&mut self.answers)
    }

    /// The request under way took too long for this limit, and the server is being asked to end it.
    pub fn cancelling(&mut self, limit: Limit) {
        (self.overtime, self.held) = (Some(limit), true);
    }

    /// The server was asked.
    pub fn cancel_arrived(&mut self) {
        self.held = false;
    }

    /// The request under way took too long.
    #[must_use]
    pub fn is_overtime(&self) -> bool {
        self.overtime.is_some()
    }

    /// Nothing more may be sent to the server: a cancel that is on its way there could meet it.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// What the server ends as cancelled now, it ends because of this limit of ours.
    #[must_use]
    pub fn was_cancelled(&self) -> Option<Limit> {
        self.overtime.or(self.held.then_some(Limit::Query))
    }

    /// What the client does now, with what has ended since this was last asked.
    pub fn moment(&mut self, doing: Doing) -> Moment {
        let Self { request_ended, statement_ended, transaction_ended, .. } = *self;
        (self.request_ended, self.statement_ended, self.transaction_ended) = (false, false, false);
        Moment { doing, request_ended, statement_ended, transaction_ended }
    }
}

/// A limit that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// On one request.
    Query,
    /// The tenant's, on one statement.
    Statement,
    /// On how long a server may take to end a request that was cancelled.
    CancelGrace,
    /// On requests of a client that has closed its sending side.
    HalfClosed,
    /// On one transaction.
    Transaction,
    /// On a client that does nothing in a transaction.
    IdleInTransaction,
    /// The tenant's, on the same.
    TenantIdleInTransaction,
    /// On a client that does nothing.
    ClientIdle,
    /// On a client that does nothing and has a connection to itself.
    PinnedIdle,
}

impl Limit {
    /// What the client is told, in PostgreSQL's own words where it has such a limit too.
    #[must_use]
    pub fn refusal(self) -> Refusal {
        let (kind, message, hint) = match self {
            Self::Query => (
                ErrorKind::QueryTimeout,
                "canceling statement due to query timeout",
                "the gateway's query_ms",
            ),
            Self::Statement => (
                ErrorKind::QueryTimeout,
                "canceling statement due to statement timeout",
                "statement_timeout_ms of the tenant's plan; a session cannot lift it",
            ),
            Self::CancelGrace => (
                ErrorKind::QueryTimeout,
                "terminating connection due to query timeout",
                "the gateway's query_ms; the server did not end the statement when it was cancelled",
            ),
            Self::HalfClosed => (
                ErrorKind::ClientTimeout,
                "terminating connection because the client has closed its sending side",
                "the gateway's half_closed_ms",
            ),
            Self::Transaction => (
                ErrorKind::TransactionTimeout,
                "terminating connection due to transaction timeout",
                "the gateway's transaction_ms",
            ),
            Self::IdleInTransaction => (
                ErrorKind::IdleInTransaction,
                "terminating connection due to idle-in-transaction timeout",
                "the gateway's idle_in_transaction_ms",
            ),
            Self::TenantIdleInTransaction => (
                ErrorKind::IdleInTransaction,
                "terminating connection due to idle-in-transaction timeout",
                "idle_in_transaction_timeout_ms of the tenant's plan; a session cannot lift it",
            ),
            Self::ClientIdle => (
                ErrorKind::ClientIdle,
                "terminating connection due to idle-session timeout",
                "the gateway's client_idle_ms",
            ),
            Self::PinnedIdle => (
                ErrorKind::PinnedIdle,
                "terminating connection due to idle-session timeout",
                "the gateway's pinned_idle_ms: the session kept a server connection to itself",
            ),
        };
        Refusal::new(kind, message).hint(hint)
    }
}

/// One session's limits.
#[derive(Debug, Default)]
pub struct Deadlines {
    doing: Doing,
    /// When that began, if there is a limit on it.
    since: Option<Instant>,
    /// When the statement began, if there is a limit on it.
    statement_since: Option<Instant>,
    /// When the transaction began, if there is a limit on it.
    transaction_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadlines {
    /// A server connection was leased: whatever comes now begins now.
    pub fn start_anew(&mut self) {
        *self = Self { timer: self.timer.take(), ..Self::default() };
    }

    /// The session has moved to another thread, whose timers it is to use. Called while there is nothing to time but
    /// how long it is idle.
    pub fn forget_timer(&mut self) {
        self.timer = None;
    }

    /// To be asked whenever the session has nothing to do but wait. Ready when it has waited too long.
    pub fn poll<'a>(
        &mut self,
        cx: &mut Context<'_>,
        limits: impl Into<TimeLimits<'a>>,
        moment: impl Into<Moment>,
    ) -> Poll<Limit> {
        let limits = limits.into();
        self.note(&limits, moment.into());
        let Some((deadline, limit)) = self.next(&limits) else {
            if self.timer.as_ref().is_some_and(|timer| timer.is_elapsed()) {
                self.timer = None;
            }
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if deadline < timer.deadline() {
            timer.as_mut().reset(deadline);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= deadline {
                return Poll::Ready(limit);
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }

    fn note(&mut self, limits: &TimeLimits<'_>, moment: Moment) {
        let Moment { doing, request_ended, statement_ended, transaction_ended } = moment;
        let began = request_ended || doing != self.doing || self.since.is_none();
        self.doing = doing;
        let is_limited = limit_on(doing, limits).is_some();
        let mut now = None;
        let mut read_clock = || *now.get_or_insert_with(Instant::now);
        if began {
            self.since = is_limited.then(&mut read_clock);
        }
        if doing != Doing::Working || limits.statement.is_none() {
            self.statement_since = None;
        } else if request_ended || statement_ended || self.statement_since.is_none() {
            self.statement_since = Some(read_clock());
        }
        if !doing.is_within_transaction() || limits.gateway.transaction().is_none() {
            self.transaction_since = None;
        } else if transaction_ended || self.transaction_since.is_none() {
            self.transaction_since = Some(read_clock());
        }
    }

    /// The limit that is reached first.
    fn next(&self, limits: &TimeLimits<'_>) -> Option<(Instant, Limit)> {
        let doing =
            self.since.zip(limit_on(self.doing, limits)).map(|(since, (most, limit))| (since + most, limit));
        let statement =
            self.statement_since.zip(limits.statement).map(|(since, most)| (since + most, Limit::Statement));
        let transaction = self
            .transaction_since
            .zip(limits.gateway.transaction())
            .map(|(since, most)| (since + most, Limit::Transaction));
        [doing, statement, transaction].into_iter().flatten().min_by_key(|(deadline, _)| *deadline)
    }
}

fn limit_on(doing: Doing, limits: &TimeLimits<'_>) -> Option<(Duration, Limit)> {
    let gateway = limits.gateway;
    let (most, limit) = match doing {
        Doing::Idle => (gateway.client_idle(), Limit::ClientIdle),
        Doing::Working => (gateway.query(), Limit::Query),
        Doing::IdleInTransaction => return idle_in_transaction(limits),
        Doing::PinnedIdle => (gateway.pinned_idle(), Limit::PinnedIdle),
        Doing::Cancelling => (Some(gateway.cancel_grace()), Limit::CancelGrace),
        Doing::Leaving => (Some(gateway.half_closed()), Limit::HalfClosed),
    };
    most.map(|most| (most, limit))
}

/// The shorter of the gateway's and the tenant's.
fn idle_in_transaction(limits: &TimeLimits<'_>) -> Option<(Duration, Limit)> {
    let gateway = limits.gateway.idle_in_transaction().map(|most| (most, Limit::IdleInTransaction));
    let tenant = limits.idle_in_transaction.map(|most| (most, Limit::TenantIdleInTransaction));
    [gateway, tenant].into_iter().flatten().min_by_key(|(most, _)| *most)
}

impl From<Doing> for Moment {
    fn from(doing: Doing) -> Self {
        Self { doing, ..Self::default() }
    }
}

#[cfg(test)]
mod tests;
