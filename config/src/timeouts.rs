//! How long clients may take once they are in. What a login, a connection to a cluster or the wait for a server
//! connection may take is said where those are: `limits`, `pool`, and a tenant's plan.

use crate::section::Section;
use serde::Serialize;
use std::time::Duration;

/// A day: nothing that a client does should be measured in more.
const DAY_MS: u64 = 86_400_000;

/// Limits on what a client does. 0 is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimeoutsConfig {
    /// `timeouts.query_ms`: one request, from when a server connection has it to its last answer, milliseconds, 0
    /// (none). It is then cancelled. Short limits end honest reports; none leaves a runaway statement to its tenant.
    pub query_ms: u64,
    /// `timeouts.transaction_ms`: one transaction, or one request outside of any, milliseconds, 0 (none). Its
    /// session then ends.
    pub transaction_ms: u64,
    /// `timeouts.idle_in_transaction_ms`: a transaction that is open while its client sends nothing,
    /// milliseconds, 0 (none). Its session then ends: it holds locks, a server connection, and back vacuum.
    pub idle_in_transaction_ms: u64,
    /// `timeouts.client_idle_ms`: a client that sends nothing and has no server connection, milliseconds, 0
    /// (none). It costs some kilobytes and a place in `limits.client_limit`.
    pub client_idle_ms: u64,
    /// `timeouts.pinned_idle_ms`: a client that sends nothing and has a server connection to itself, in session
    /// mode or because of what its session holds, milliseconds, 3,600,000. It is sent away, so that its connection
    /// serves others. 0 lets forgotten clients use up pools and budgets.
    pub pinned_idle_ms: u64,
    /// `timeouts.cancel_grace_ms`: how long a server may take to end a statement that was cancelled because of
    /// `query_ms`, milliseconds, 5,000. Then both connections are closed.
    pub cancel_grace_ms: u64,
    /// `timeouts.half_closed_ms`: how long what a client has asked for goes on once it has closed its sending side,
    /// milliseconds, 1,000. It may want to read the answers, or have gone altogether, which looks the same. Then its
    /// statement is cancelled; 0 does so at once.
    pub half_closed_ms: u64,
    /// `timeouts.websocket_ping_ms`: how long a WebSocket's client may be silent before it is asked for a sign of life,
    /// milliseconds, 20,000. One that does not answer for as long again has vanished. It also keeps proxies on the way
    /// from closing what is idle.
    pub websocket_ping_ms: u64,
}

impl Default for TimeoutsConfig {
    fn default() -> Self {
        Self {
            query_ms: 0,
            transaction_ms: 0,
            idle_in_transaction_ms: 0,
            client_idle_ms: 0,
            pinned_idle_ms: 3_600_000,
            cancel_grace_ms: 5_000,
            half_closed_ms: 1_000,
            websocket_ping_ms: 20_000,
        }
    }
}

impl TimeoutsConfig {
    /// [`Self::query_ms`], if there is a limit.
    #[must_use]
    pub const fn query(&self) -> Option<Duration> {
        limit(self.query_ms)
    }

    /// [`Self::transaction_ms`], if there is a limit.
    #[must_use]
    pub const fn transaction(&self) -> Option<Duration> {
        limit(self.transaction_ms)
    }

    /// [`Self::idle_in_transaction_ms`], if there is a limit.
    #[must_use]
    pub const fn idle_in_transaction(&self) -> Option<Duration> {
        limit(self.idle_in_transaction_ms)
    }

    /// [`Self::client_idle_ms`], if there is a limit.
    #[must_use]
    pub const fn client_idle(&self) -> Option<Duration> {
        limit(self.client_idle_ms)
    }

    /// [`Self::pinned_idle_ms`], if there is a limit.
    #[must_use]
    pub const fn pinned_idle(&self) -> Option<Duration> {
        limit(self.pinned_idle_ms)
    }

    /// [`Self::half_closed_ms`] as a duration.
    #[must_use]
    pub const fn half_closed(&self) -> Duration {
        Duration::from_millis(self.half_closed_ms)
    }

    /// [`Self::websocket_ping_ms`] as a duration.
    #[must_use]
    pub const fn websocket_ping(&self) -> Duration {
        Duration::from_millis(self.websocket_ping_ms)
    }

    /// [`Self::cancel_grace_ms`] as a duration.
    #[must_use]
    pub const fn cancel_grace(&self) -> Duration {
        Duration::from_millis(self.cancel_grace_ms)
    }

    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let defaults = Self::default();
        let mut limit = |key, default| section.number(key, default, &(0..=DAY_MS));
        let timeouts = Self {
            query_ms: limit("query_ms", defaults.query_ms),
            transaction_ms: limit("transaction_ms", defaults.transaction_ms),
            idle_in_transaction_ms: limit("idle_in_transaction_ms", defaults.idle_in_transaction_ms),
            client_idle_ms: limit("client_idle_ms", defaults.client_idle_ms),
            pinned_idle_ms: limit("pinned_idle_ms", defaults.pinned_idle_ms),
            half_closed_ms: section.number("half_closed_ms", defaults.half_closed_ms, &(0..=60_000)),
            websocket_ping_ms: section.number(
                "websocket_ping_ms",
                defaults.websocket_ping_ms,
                &(100..=3_600_000),
            ),
            cancel_grace_ms: section.number("cancel_grace_ms", defaults.cancel_grace_ms, &(100..=60_000)),
        };
        section.finish();
        timeouts
    }
}

const fn limit(milliseconds: u64) -> Option<Duration> {
    if milliseconds == 0 { None } else { Some(Duration::from_millis(milliseconds)) }
}
