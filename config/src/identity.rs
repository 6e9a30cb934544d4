//! Tokens of identity providers, and their providers' keys.

use crate::section::Section;
use serde::Serialize;
use std::time::Duration;

/// How tokens are checked, and how their issuers' keys are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IdentityConfig {
    /// `identity.token_bytes_max`: the longest token that is looked at, 8,192. A longer one is refused unread. On the
    /// wire `limits.startup_bytes_max` bounds it too.
    pub token_bytes_max: usize,
    /// `identity.jwks_timeout_ms`: how long fetching an issuer's keys may take in all, milliseconds, 5,000. Clients
    /// whose token needs them wait for it.
    pub jwks_timeout_ms: u64,
    /// `identity.jwks_bytes_max`: the longest key set that is read, 262,144.
    pub jwks_bytes_max: usize,
    /// `identity.jwks_keys_max`: keys in one set, 64.
    pub jwks_keys_max: usize,
    /// `identity.jwks_refresh_interval_ms`: how often an issuer's keys are fetched anew while its tokens are used,
    /// milliseconds, 600,000. It is how long a key that its issuer has withdrawn goes on to be accepted.
    pub jwks_refresh_interval_ms: u64,
    /// `identity.jwks_retry_interval_ms`: the time in which an issuer is asked at most twice because of a key that is not
    /// known, and not again after a failure, milliseconds, 5,000. Shorter lets whoever invents keys' ids use up the issuer's
    /// patience; longer keeps tokens of a new key waiting.
    pub jwks_retry_interval_ms: u64,
    /// `identity.jwks_stale_max_ms`: how long keys are used while their issuer cannot be reached, milliseconds,
    /// 86,400,000. Then its tokens are refused.
    pub jwks_stale_max_ms: u64,
    /// `identity.issuers_max`: issuers whose keys are kept at once, 1,000. The longest unused makes room.
    pub issuers_max: usize,
    /// `identity.private_issuers`: may tenants' own issuers be at addresses that are not public, false. Whoever manages
    /// a tenant chooses them: with true it can have this process ask servers that only it can reach.
    pub private_issuers: bool,
}

impl Default for IdentityConfig {
    fn default() -> Self {
        Self {
            token_bytes_max: 8_192,
            jwks_timeout_ms: 5_000,
            jwks_bytes_max: 262_144,
            jwks_keys_max: 64,
            jwks_refresh_interval_ms: 600_000,
            jwks_retry_interval_ms: 5_000,
            jwks_stale_max_ms: 86_400_000,
            issuers_max: 1_000,
            private_issuers: false,
        }
    }
}

impl IdentityConfig {
    /// [`Self::jwks_timeout_ms`] as a duration.
    #[must_use]
    pub const fn jwks_timeout(&self) -> Duration {
        Duration::from_millis(self.jwks_timeout_ms)
    }

    /// [`Self::jwks_refresh_interval_ms`] as a duration.
    #[must_use]
    pub const fn jwks_refresh_interval(&self) -> Duration {
        Duration::from_millis(self.jwks_refresh_interval_ms)
    }

    /// [`Self::jwks_retry_interval_ms`] as a duration.
    #[must_use]
    pub const fn jwks_retry_interval(&self) -> Duration {
        Duration::from_millis(self.jwks_retry_interval_ms)
    }

    /// [`Self::jwks_stale_max_ms`] as a duration.
    #[must_use]
    pub const fn jwks_stale_max(&self) -> Duration {
        Duration::from_millis(self.jwks_stale_max_ms)
    }

    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let defaults = Self::default();
        let day = 86_400_000;
        let identity = Self {
            token_bytes_max: section.number("token_bytes_max", defaults.token_bytes_max, &(512..=65_536)),
            jwks_timeout_ms: section.number("jwks_timeout_ms", defaults.jwks_timeout_ms, &(100..=60_000)),
            jwks_bytes_max: section.number("jwks_bytes_max", defaults.jwks_bytes_max, &(1_024..=16_777_216)),
            jwks_keys_max: section.number("jwks_keys_max", defaults.jwks_keys_max, &(1..=1_000)),
            jwks_refresh_interval_ms: section.number(
                "jwks_refresh_interval_ms",
                defaults.jwks_refresh_interval_ms,
                &(1_000..=day),
            ),
            jwks_retry_interval_ms: section.number(
                "jwks_retry_interval_ms",
                defaults.jwks_retry_interval_ms,
                &(100..=600_000),
            ),
            jwks_stale_max_ms: section.number(
                "jwks_stale_max_ms",
                defaults.jwks_stale_max_ms,
                &(0..=30 * day),
            ),
            issuers_max: section.number("issuers_max", defaults.issuers_max, &(1..=100_000)),
            private_issuers: section.flag("private_issuers", defaults.private_issuers),
        };
        if identity.jwks_stale_max_ms < identity.jwks_refresh_interval_ms {
            section.problem("jwks_stale_max_ms", "must not be shorter than jwks_refresh_interval_ms");
        }
        section.finish();
        identity
    }
}
