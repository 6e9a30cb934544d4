//! The circuit breaker itself: a state machine without a clock.
//!
//! ```text
//!            failure                     too long, or lasting
//!  Closed ───────────► Trying: one login at a time ─────────► Open: clients are refused
//!    ▲  ▲                │ success                              │  ▲
//!    │  └────────────────┘                             a probe  ▼  │ failure
//!    └──────────────────────────────────────────────────────── Probing
//!                              success
//! ```
//!
//! What a login says counts only if it began after the last success: an older one shows how things were.

use super::pause::{Jitter, Pauses};
use std::time::{Duration, Instant};

/// A breaker that is still trying, but was asked for nothing for this long, has seen the end of one outage and the
/// beginning of the next: clients are given their time again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30);

/// How a breaker behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// For how long logins may fail before clients are refused.
    pub patience: Duration,
    /// Between logins while clients wait.
    pub trying: Pauses,
    /// Between logins while clients are refused.
    pub open: Pauses,
}

/// What is to be expected of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prognosis {
    /// It may pass by itself, and soon: worth waiting for.
    Passing,
    /// It lasts if it happens again: what led here may be out of date, or something went wrong on the way.
    Doubtful,
    /// Somebody has to do something about it.
    Lasting,
}

/// Where a breaker stands, for operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Logins succeed as far as we know.
    Closed,
    /// They fail; clients wait, and one login at a time is tried.
    Trying,
    /// They have failed for too long: clients are refused.
    Open,
    /// Clients are refused while one login is tried.
    Probing,
}

impl Standing {
    /// All of them, in the order of [`Standing::number`].
    pub const ALL: [Self; 4] = [Self::Closed, Self::Trying, Self::Probing, Self::Open];

    /// The word in metrics, logs and the console.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Trying => "trying",
            Self::Probing => "probing",
            Self::Open => "open",
        }
    }

    /// The value of the gauge: the higher, the worse.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::Trying => 1,
            Self::Probing => 2,
            Self::Open => 3,
        }
    }
}

/// The right to try one login. Whoever has it says how it went.
#[derive(Debug)]
#[must_use]
pub struct Ticket {
    era: u64,
    began: Instant,
    is_alone: bool,
}

impl Ticket {
    /// Is it the only login that may be tried?
    #[must_use]
    pub const fn is_alone(&self) -> bool {
        self.is_alone
    }
}

/// Why no login may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The pause is not over before then.
    Until(Instant),
    /// One is being tried.
    UnderWay,
}

/// A circuit breaker.
#[derive(Debug)]
pub struct Breaker {
    settings: Settings,
    /// Counts successes. A ticket of an earlier era says nothing any more.
    era: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing was tried yet: one login finds out.
    Unknown {
        is_trying: bool,
    },
    Closed,
    Failing(Outage),
}

#[derive(Debug)]
struct Outage {
    /// When the first login began that failed.
    since: Instant,
    /// Rounds of failures since then, or since it is open.
    failures: u32,
    /// When the next login may be tried.
    next: Instant,
    is_trying: bool,
    is_open: bool,
}

impl Breaker {
    /// One that knows nothing yet.
    #[must_use]
    pub const fn new(settings: Settings) -> Self {
        Self { settings, era: 0, state: State::Unknown { is_trying: false } }
    }

    /// May a login be tried now?
    ///
    /// # Errors
    /// When not, and until when.
    pub fn may_try(&mut self, now: Instant) -> Result<Ticket, Denied> {
        let is_alone = match &mut self.state {
            State::Closed => false,
            State::Unknown { is_trying } => {
                if std::mem::replace(is_trying, true) {
                    return Err(Denied::UnderWay);
                }
                true
            }
            State::Failing(outage) if outage.is_trying => return Err(Denied::UnderWay),
            State::Failing(outage) if now < outage.next => return Err(Denied::Until(outage.next)),
            State::Failing(outage) => {
                outage.is_trying = true;
                true
            }
        };
        Ok(Ticket { era: self.era, began: now, is_alone })
    }

    /// The same for whoever was allowed to before, had to wait for something else since, and begins only now.
    ///
    /// # Errors
    /// Things have changed meanwhile, and no login may be tried.
    pub fn renew(&mut self, mut ticket: Ticket, now: Instant) -> Result<Ticket, Denied> {
        if ticket.is_alone && ticket.era == self.era {
            ticket.began = now;
            return Ok(ticket);
        }
        self.may_try(now)
    }

    /// The server has let somebody in.
    pub fn succeeded(&mut self) {
        self.era += 1;
        self.state = State::Closed;
    }

    /// A login has failed.
    pub fn failed(&mut self, ticket: &Ticket, prognosis: Prognosis, now: Instant, jitter: Jitter) {
        if ticket.era != self.era {
            return;
        }
        let settings = self.settings;
        match &mut self.state {
            State::Failing(outage) => outage.failed_again(ticket, prognosis, now, jitter, &settings),
            State::Unknown { .. } | State::Closed => {
                let mut outage = Outage::begin(ticket, now, jitter, &settings);
                outage.open_if_due(prognosis, now, jitter, &settings);
                self.state = State::Failing(outage);
            }
        }
    }

    /// A login was not tried after all, or nothing was learned from it.
    pub fn given_up(&mut self, ticket: &Ticket) {
        if ticket.era != self.era || !ticket.is_alone {
            return;
        }
        match &mut self.state {
            State::Unknown { is_trying } => *is_trying = false,
            State::Failing(outage) => outage.is_trying = false,
            State::Closed => {}
        }
    }

    /// Are clients that have no connection to hope for to be refused? With the time until the next login is tried;
    /// none while one is under way.
    #[must_use]
    pub fn refuses(&self, now: Instant) -> Option<Option<Duration>> {
        match &self.state {
            State::Failing(outage) if outage.is_open && outage.is_trying => Some(None),
            State::Failing(outage) if outage.is_open && now < outage.next => Some(Some(outage.next - now)),
            _ => None,
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match &self.state {
            State::Unknown { .. } | State::Closed => Standing::Closed,
            State::Failing(outage) if !outage.is_open => Standing::Trying,
            State::Failing(outage) if outage.is_trying => Standing::Probing,
            State::Failing(_) => Standing::Open,
        }
    }

    /// Since when logins have been failing, and when the next is due, while they are.
    #[must_use]
    pub fn outage(&self) -> Option<(Instant, Instant)> {
        match &self.state {
            State::Failing(outage) => Some((outage.since, outage.next)),
            State::Unknown { .. } | State::Closed => None,
        }
    }
}

impl Outage {
    fn begin(ticket: &Ticket, now: Instant, jitter: Jitter, settings: &Settings) -> Self {
        let next = now + settings.trying.after(1, jitter);
        Self { since: ticket.began, failures: 1, next, is_trying: false, is_open: false }
    }

    fn failed_again(
        &mut self,
        ticket: &Ticket,
        prognosis: Prognosis,
        now: Instant,
        jitter: Jitter,
        settings: &Settings,
    ) {
        // Only the one login of this round counts; whatever else was under way tells the same news.
        if !ticket.is_alone {
            return;
        }
        if !self.is_open && ticket.began.saturating_duration_since(self.next) >= FORGOTTEN_AFTER {
            *self = Self::begin(ticket, now, jitter, settings);
        } else {
            self.is_trying = false;
            self.failures = self.failures.saturating_add(1);
            let pauses = if self.is_open { settings.open } else { settings.trying };
            self.next = now + pauses.after(self.failures, jitter);
        }
        self.open_if_due(prognosis, now, jitter, settings);
    }

    /// One failure alone is no outage, however long it took, unless it is known to last.
    fn open_if_due(&mut self, prognosis: Prognosis, now: Instant, jitter: Jitter, settings: &Settings) {
        let is_due = match prognosis {
            Prognosis::Lasting => true,
            Prognosis::Doubtful => self.failures > 1,
            Prognosis::Passing => {
                self.failures > 1 && now.saturating_duration_since(self.since) >= settings.patience
            }
        };
        if is_due && !self.is_open {
            self.is_open = true;
            self.failures = 1;
            self.next = now + settings.open.after(1, jitter);
        }
    }
}

#[cfg(test)]
mod tests;
