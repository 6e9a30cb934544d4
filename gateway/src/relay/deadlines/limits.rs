//! Which limits hold for a session: the gateway's, and its tenant's beside them.

use config::TimeoutsConfig;
use std::time::Duration;
use tenancy::Limits;

/// The server has the tenant's limit on statements too, unless the session has set another. It is let go first: its own
/// words end a statement without a second connection.
const AFTER_THE_SERVER: Duration = Duration::from_millis(250);

/// The limits of time on one session, as of now.
#[derive(Debug, Clone, Copy)]
pub struct TimeLimits<'a> {
    /// The gateway's.
    pub gateway: &'a TimeoutsConfig,
    /// The tenant's, on one statement.
    pub statement: Option<Duration>,
    /// The tenant's, on a transaction that waits for its client.
    pub idle_in_transaction: Option<Duration>,
}

impl<'a> TimeLimits<'a> {
    /// Those of a tenant with these `limits`, at this gateway.
    #[must_use]
    pub fn new(gateway: &'a TimeoutsConfig, limits: &Limits) -> Self {
        Self {
            gateway,
            statement: held(limits.statement_timeout_ms),
            idle_in_transaction: held(limits.idle_in_transaction_timeout_ms),
        }
    }
}

impl<'a> From<&'a TimeoutsConfig> for TimeLimits<'a> {
    fn from(gateway: &'a TimeoutsConfig) -> Self {
        Self { gateway, statement: None, idle_in_transaction: None }
    }
}

/// When the gateway holds a limit that the server has as well.
fn held(milliseconds: u32) -> Option<Duration> {
    (milliseconds > 0).then(|| Duration::from_millis(milliseconds.into()) + AFTER_THE_SERVER)
}
