//! What a gateway that was cut off from the catalog has missed.
//!
//! A route tells of refused gateway tokens for fifteen minutes, since no such token is older than that. What one has opened
//! may last for days, and a gateway that is cut off goes by what it knows. So whoever comes back, or has stood still, asks for
//! each connection that was opened by such a token whether it stays.

use super::withdrawal::Withdrawal;
use crate::authenticate::CredentialRef;
use crate::clients::Client;
use catalog_schema::{Catalog, CatalogError, TOKENS_ASKED_MAX, TokenRef};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A pass over what changed may begin so long after the one before, and nothing was missed. Well below the time for which
/// a route tells of a token that is refused.
const BETWEEN_PASSES_MAX: Duration = Duration::from_secs(5 * 60);

/// Whether this gateway has followed the catalog without a gap.
#[derive(Debug, Default)]
pub struct Attendance {
    /// When the last pass began, of those that were completed over one connection to the catalog.
    last: Option<Pass>,
}

/// A pass over what changed. By two clocks: one of them stands still while the machine sleeps, the other can be set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pass(Instant, Timestamp);

impl Pass {
    /// One begins.
    pub(super) fn begin() -> Self {
        Self(Instant::now(), Timestamp::now())
    }
}

impl Attendance {
    /// The connection to the catalog was lost.
    pub(super) fn lost(&mut self) {
        self.last = None;
    }

    /// Is the last pass so long ago, by now, that something may have been missed?
    pub(super) fn was_absent(&self) -> bool {
        self.last.is_none_or(|Pass(instant, timestamp)| {
            let slept = Timestamp::now().duration_since(timestamp);
            instant.elapsed() > BETWEEN_PASSES_MAX
                || slept > SignedDuration::try_from(BETWEEN_PASSES_MAX).unwrap_or(SignedDuration::MAX)
        })
    }

    /// The pass is over, and nothing is missing.
    pub(super) fn complete(&mut self, pass: Pass) {
        self.last = Some(pass);
    }
}

impl Withdrawal {
    /// Ends the clients whose gateway token opens nothing any more, as the catalog says of each.
    pub(super) async fn look_again(&self, catalog: &Catalog) -> Result<(), CatalogError> {
        let all = self.clients.all();
        let by_token: Vec<_> = all.iter().filter_map(|client| Some((client, token_of(client)?))).collect();
        for some in by_token.chunks(TOKENS_ASKED_MAX) {
            let tokens: Vec<_> = some.iter().map(|(_, token)| *token).collect();
            let standing = catalog.tokens_standing(&tokens).await?;
            for ((client, _), _) in some.iter().zip(standing).filter(|(_, stands)| !stands) {
                self.clients.withdraw(client);
            }
        }
        Ok(())
    }
}

fn token_of(client: &Arc<Client>) -> Option<TokenRef> {
    let CredentialRef::GatewayToken { user, session, issued_at, .. } = client.about.credential else {
        return None;
    };
    Some(TokenRef { tenant: client.about.tenant.id(), user, session, issued_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_away_has_to_ask_and_who_was_not_has_not() {
        let mut attendance = Attendance::default();
        assert!(attendance.was_absent(), "nobody knows what was before");
        let pass = Pass::begin();
        attendance.complete(pass);
        assert!(!attendance.was_absent());
        attendance.lost();
        assert!(attendance.was_absent());
        let Pass(instant, timestamp) = pass;
        attendance.complete(Pass(instant, timestamp - SignedDuration::from_hours(1)));
        assert!(attendance.was_absent(), "the machine has slept");
    }
}
