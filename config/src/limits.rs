//! What the gateway takes from a client before it knows or trusts it.

use crate::section::Section;
use serde::Serialize;
use std::time::Duration;
use tenancy::AddressRange;

/// PostgreSQL refuses longer messages itself (`PQ_LARGE_MESSAGE_LIMIT` is `MaxAllocSize`, 1 GiB - 1).
const POSTGRES_MESSAGE_BYTES_MAX: usize = 0x3fff_ffff;

/// PostgreSQL's own bound on a startup packet (`MAX_STARTUP_PACKET_LENGTH` in `libpq/pqcomm.h`).
const POSTGRES_STARTUP_BYTES_MAX: usize = 10_000;

/// Each is compared with every client's address.
const ADDRESS_EXEMPT_MAX: usize = 256;

/// Bounds on what one client can make the gateway do or hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LimitsConfig {
    /// `limits.startup_timeout_ms`: from accepting a connection to the end of its login,
    /// milliseconds, 15,000. Too short and slow networks cannot log in; too long and silent
    /// connections use up `client_limit`.
    pub startup_timeout_ms: u64,
    /// `limits.startup_bytes_max`: the startup packet, bytes, 10,000, which is PostgreSQL's own bound.
    pub startup_bytes_max: usize,
    /// `limits.message_bytes_max`: one message of a logged-in client, bytes, 1,073,741,823, which is
    /// PostgreSQL's own bound. Messages stream through, so a large one takes time, not memory.
    pub message_bytes_max: usize,
    /// `limits.http_body_bytes_max`: the body of one HTTP request, bytes, 10,485,760. It is held in
    /// memory while the request runs.
    pub http_body_bytes_max: usize,
    /// `limits.http_response_bytes_max`: the result of one HTTP request, bytes, 1,073,741,823. It streams, and
    /// takes time rather than memory; a larger one ends with an error.
    pub http_response_bytes_max: usize,
    /// `limits.http_request_timeout_ms`: one HTTP request until its result is there or begins to
    /// stream, milliseconds, 60,000. The statement is cancelled when it passes.
    pub http_request_timeout_ms: u64,
    /// `limits.client_limit`: clients of all tenants at once, 10,000. One more is refused. Each takes
    /// a file descriptor and a few kilobytes: raise the process's limit of open files with it.
    pub client_limit: u32,
    /// `limits.prepared_bytes_per_client_max`: names and texts of prepared statements that one client
    /// may have open, bytes, 4,194,304. One more than fits is refused.
    pub prepared_bytes_per_client_max: usize,
    /// `limits.rate_wait_ms`: how long a request on the wire waits when its tenant's come faster than the plan allows,
    /// milliseconds, 1,000; 0 refuses at once. Longer smooths bursts; shorter tells applications sooner.
    pub rate_wait_ms: u64,
    /// `limits.address_connections_per_second`: connections that one address may open in a second, 2,000, and five times
    /// as many at once; 0 for no limit. An address is one of IPv4 or 64 bits of IPv6. Too few and whoever shares an
    /// address with many is refused; too many and one address can keep the gateway busy with handshakes.
    pub address_connections_per_second: u32,
    /// `limits.address_failed_logins_per_minute`: logins from one address that may fail in a minute, 1,200; 0 for no
    /// limit. Beyond it all of the address's are refused. Fewer make guessing slower, and let one careless
    /// application lock out those that share its address.
    pub address_failed_logins_per_minute: u32,
    /// `limits.address_exempt`: ranges of addresses to which neither applies, none. Load balancers that do not say whom
    /// they pass on belong here.
    pub address_exempt: Vec<AddressRange>,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            startup_timeout_ms: 15_000,
            startup_bytes_max: POSTGRES_STARTUP_BYTES_MAX,
            message_bytes_max: POSTGRES_MESSAGE_BYTES_MAX,
            http_body_bytes_max: 10 * 1024 * 1024,
            http_response_bytes_max: POSTGRES_MESSAGE_BYTES_MAX,
            http_request_timeout_ms: 60_000,
            client_limit: 10_000,
            prepared_bytes_per_client_max: 4 * 1024 * 1024,
            rate_wait_ms: 1_000,
            address_connections_per_second: 2_000,
            address_failed_logins_per_minute: 1_200,
            address_exempt: Vec::new(),
        }
    }
}

impl LimitsConfig {
    /// [`Self::startup_timeout_ms`] as a duration.
    #[must_use]
    pub const fn startup_timeout(&self) -> Duration {
        Duration::from_millis(self.startup_timeout_ms)
    }

    /// [`Self::http_request_timeout_ms`] as a duration.
    #[must_use]
    pub const fn http_request_timeout(&self) -> Duration {
        Duration::from_millis(self.http_request_timeout_ms)
    }

    /// [`Self::rate_wait_ms`] as a duration.
    #[must_use]
    pub const fn rate_wait(&self) -> Duration {
        Duration::from_millis(self.rate_wait_ms)
    }

    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let defaults = Self::default();
        let mut bytes = |key, default, most| section.number(key, default, &(1_024..=most));
        let startup_bytes_max =
            bytes("startup_bytes_max", defaults.startup_bytes_max, POSTGRES_STARTUP_BYTES_MAX);
        let message_bytes_max =
            bytes("message_bytes_max", defaults.message_bytes_max, POSTGRES_MESSAGE_BYTES_MAX);
        let http_body_bytes_max =
            bytes("http_body_bytes_max", defaults.http_body_bytes_max, POSTGRES_MESSAGE_BYTES_MAX);
        let http_response_bytes_max =
            bytes("http_response_bytes_max", defaults.http_response_bytes_max, POSTGRES_MESSAGE_BYTES_MAX);
        let prepared_bytes_per_client_max = bytes(
            "prepared_bytes_per_client_max",
            defaults.prepared_bytes_per_client_max,
            1024 * 1024 * 1024,
        );
        let mut timeout = |key, default| section.number(key, default, &(100..=3_600_000));
        let startup_timeout_ms = timeout("startup_timeout_ms", defaults.startup_timeout_ms);
        let http_request_timeout_ms = timeout("http_request_timeout_ms", defaults.http_request_timeout_ms);
        let client_limit = section.number("client_limit", defaults.client_limit, &(1..=1_000_000));
        let rate_wait_ms = section.number("rate_wait_ms", defaults.rate_wait_ms, &(0..=600_000));
        let mut per_address = |key, default| section.number(key, default, &(0..=1_000_000));
        let address_connections_per_second =
            per_address("address_connections_per_second", defaults.address_connections_per_second);
        let address_failed_logins_per_minute =
            per_address("address_failed_logins_per_minute", defaults.address_failed_logins_per_minute);
        let address_exempt = section.words("address_exempt", defaults.address_exempt);
        if address_exempt.len() > ADDRESS_EXEMPT_MAX {
            section.problem("address_exempt", format!("must be {ADDRESS_EXEMPT_MAX} ranges at most"));
        }
        section.finish();
        Self {
            startup_timeout_ms,
            startup_bytes_max,
            message_bytes_max,
            http_body_bytes_max,
            http_response_bytes_max,
            http_request_timeout_ms,
            client_limit,
            prepared_bytes_per_client_max,
            rate_wait_ms,
            address_connections_per_second,
            address_failed_logins_per_minute,
            address_exempt,
        }
    }
}
