//! The gateway's server connections. How many a tenant may have is its plan's matter, not the gateway's.

use crate::section::Section;
use serde::Serialize;
use std::str::FromStr;
use std::time::Duration;

/// How server connections come and go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolConfig {
    /// `pool.idle_timeout_ms`: an unused server connection is closed after this, milliseconds,
    /// 60,000. Too short and quiet tenants pay for a login at each visit; too long and they hold
    /// memory on the cluster, though never a place that another tenant needs: that is taken at once.
    pub idle_timeout_ms: u64,
    /// `pool.connect_timeout_ms`: a login to a cluster that takes longer fails, milliseconds, 5,000.
    /// Too short and a busy cluster is called down; too long and clients wait for a dead one.
    pub connect_timeout_ms: u64,
    /// `pool.max_lifetime_ms`: a server connection is replaced after this, between transactions,
    /// milliseconds, 1,800,000. PostgreSQL's backends grow with what they have seen; too short a
    /// life costs logins, too long a one memory.
    pub max_lifetime_ms: u64,
    /// `pool.logins_at_once`: logins to one cluster that may be under way at once, 16. PostgreSQL starts a process for
    /// each. Too many and a cluster to which all tenants come at once does nothing else; too few and they wait for
    /// each other.
    pub logins_at_once: u32,
    /// `pool.outage_patience_ms`: while logins to a cluster fail, clients wait for it this long, each within its
    /// plan's `checkout_timeout_ms`; from then on they are refused at once, milliseconds, 10,000. As long as a restart
    /// takes. Too short and restarts cost errors; too long and applications hang where they could show a message.
    pub outage_patience_ms: u64,
    /// `pool.retry_pause_max_ms`: the longest time between two logins tried while clients of a cluster are refused,
    /// milliseconds, 5,000. Shorter finds a cluster sooner that is back.
    pub retry_pause_max_ms: u64,
    /// `pool.session_mode`: whether a client may have a server connection for its whole session by asking for it in
    /// its startup packet, `allow`. With `refuse` only those may whose credential says so. A client in session mode
    /// takes one connection of its tenant's pool and of its cluster's budget for as long as it stays.
    pub session_mode: SessionModeRequests,
    /// `pool.long_held_share`: of the connections that this gateway may hold to a cluster, how many may be held for
    /// longer than a transaction, by clients in session mode, pinned ones and listeners, percent, 80. The rest, one at
    /// least, stays for transactions. Too little and sessions are ended or wait; too much and few of them slow
    /// everybody else down.
    pub long_held_share: u32,
}

/// What to do with a client that asks for session mode by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionModeRequests {
    /// It gets it.
    #[default]
    Allow,
    /// It is sent away.
    Refuse,
}

impl FromStr for SessionModeRequests {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "allow" => Ok(Self::Allow),
            "refuse" => Ok(Self::Refuse),
            _ => Err("must be allow or refuse"),
        }
    }
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            idle_timeout_ms: 60_000,
            connect_timeout_ms: 5_000,
            max_lifetime_ms: 1_800_000,
            logins_at_once: 16,
            outage_patience_ms: 10_000,
            retry_pause_max_ms: 5_000,
            session_mode: SessionModeRequests::default(),
            long_held_share: 80,
        }
    }
}

impl PoolConfig {
    /// [`Self::idle_timeout_ms`] as a duration.
    #[must_use]
    pub const fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }

    /// [`Self::connect_timeout_ms`] as a duration.
    #[must_use]
    pub const fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    /// [`Self::max_lifetime_ms`] as a duration.
    #[must_use]
    pub const fn max_lifetime(&self) -> Duration {
        Duration::from_millis(self.max_lifetime_ms)
    }

    /// [`Self::outage_patience_ms`] as a duration.
    #[must_use]
    pub const fn outage_patience(&self) -> Duration {
        Duration::from_millis(self.outage_patience_ms)
    }

    /// [`Self::retry_pause_max_ms`] as a duration.
    #[must_use]
    pub const fn retry_pause_max(&self) -> Duration {
        Duration::from_millis(self.retry_pause_max_ms)
    }

    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let defaults = Self::default();
        let pool = Self {
            idle_timeout_ms: section.number("idle_timeout_ms", defaults.idle_timeout_ms, &(100..=86_400_000)),
            connect_timeout_ms: section.number(
                "connect_timeout_ms",
                defaults.connect_timeout_ms,
                &(100..=60_000),
            ),
            max_lifetime_ms: section.number(
                "max_lifetime_ms",
                defaults.max_lifetime_ms,
                &(1_000..=86_400_000),
            ),
            logins_at_once: section.number("logins_at_once", defaults.logins_at_once, &(1..=1_000)),
            outage_patience_ms: section.number(
                "outage_patience_ms",
                defaults.outage_patience_ms,
                &(0..=600_000),
            ),
            retry_pause_max_ms: section.number(
                "retry_pause_max_ms",
                defaults.retry_pause_max_ms,
                &(500..=600_000),
            ),
            session_mode: section.text("session_mode", defaults.session_mode),
            long_held_share: section.number("long_held_share", defaults.long_held_share, &(0..=100)),
        };
        section.finish();
        pool
    }
}
