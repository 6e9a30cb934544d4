//! How long a request's statements may run, by its tenant's plan and whatever the statements set.
//!
//! The server has the same limit for each statement and answers first, in its own words, unless the session has lifted it.

use crate::error::Refusal;
use crate::resolve::Tenant;
use std::time::Duration;
use tenancy::ErrorKind;
use tokio::time::{Instant, sleep_until};

/// What the server has to answer first.
const GRACE: Duration = Duration::from_millis(500);

/// When a request's statements have to have ended.
#[derive(Debug, Clone, Copy)]
pub struct TimeLimit(Option<Instant>);

impl TimeLimit {
    /// So many statements begin now.
    #[must_use]
    pub fn begins(tenant: &Tenant, statements: usize) -> Self {
        let most_ms = tenant.route().limits.statement_timeout_ms;
        let count = u32::try_from(statements.max(1)).unwrap_or(u32::MAX);
        let most = Duration::from_millis(u64::from(most_ms)).saturating_mul(count);
        Self((most_ms > 0).then(|| Instant::now() + most + GRACE))
    }

    /// Resolves when it is reached; never if there is none.
    pub async fn over(self) -> Refusal {
        match self.0 {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
        Refusal::new(ErrorKind::QueryTimeout, "canceling statement due to statement timeout")
            .hint("the plan's statement_timeout_ms")
    }
}
