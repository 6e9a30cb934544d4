//! When credentials of cached routes expire, so that who came in by one is looked at again then.

use catalog_schema::RouteRecord;
use jiff::Timestamp;
use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tenancy::TenantId;

/// Moments at which a tenant's credentials expire, the next one first. As many as cached routes have such credentials.
#[derive(Debug, Default)]
pub(super) struct Expiries(Mutex<BTreeSet<(Timestamp, TenantId)>>);

impl Expiries {
    /// A route is cached.
    pub(super) fn came(&self, route: &RouteRecord) {
        self.moments().extend(moments_of(route));
    }

    /// A route is cached no more, or about to be replaced.
    pub(super) fn went(&self, route: &RouteRecord) {
        let mut moments = self.moments();
        for moment in moments_of(route) {
            moments.remove(&moment);
        }
    }

    /// The tenants of which a credential has expired since this was asked last.
    pub(super) fn due(&self, now: Timestamp) -> HashSet<TenantId> {
        let mut moments = self.moments();
        let mut due = HashSet::new();
        while moments.first().is_some_and(|(at, _)| *at <= now) {
            due.extend(moments.pop_first().map(|(_, tenant)| tenant));
        }
        due
    }

    fn moments(&self) -> MutexGuard<'_, BTreeSet<(Timestamp, TenantId)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn moments_of(route: &RouteRecord) -> impl Iterator<Item = (Timestamp, TenantId)> {
    let expiries = route.credentials.iter().filter_map(|credential| credential.expires_at);
    expiries.map(|at| (at, route.tenant_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::tests::route;
    use catalog_schema::{CredentialKind, CredentialRecord};
    use tenancy::{CredentialId, KeyScope, Role};

    fn expiring(at: &[i64]) -> RouteRecord {
        let key = |at: &i64| CredentialRecord {
            id: CredentialId::generate(),
            role: Role::Owner,
            expires_at: Some(Timestamp::from_second(*at).expect("a moment")),
            pool_mode: None,
            kind: CredentialKind::ApiKey { prefix: "tnt_".to_owned(), hash: [0; 32], scope: KeyScope::Data },
        };
        RouteRecord { credentials: at.iter().map(key).collect(), ..route() }
    }

    #[test]
    fn each_expiry_is_told_once_and_none_of_a_route_that_went() {
        let (expiries, first, second) = (Expiries::default(), expiring(&[5, 20]), expiring(&[10]));
        expiries.came(&first);
        expiries.came(&second);
        let due = |at| expiries.due(Timestamp::from_second(at).expect("a moment"));
        assert_eq!(due(4), HashSet::new());
        assert_eq!(due(10), HashSet::from([first.tenant_id, second.tenant_id]));
        assert_eq!(due(10), HashSet::new());
        expiries.went(&first);
        assert_eq!(due(100), HashSet::new());
    }
}
