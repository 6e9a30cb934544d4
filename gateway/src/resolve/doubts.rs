//! Routes that may be out of date: a server did not let us in with what they say.
//!
//! The catalog tells of changes by itself, but a server may know of one earlier: its role has the new keys before they
//! are on record, or the notification is still on its way.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use tenancy::TenantId;
use tokio::sync::Notify;

/// Doubts kept at once. A pool whose doubt finds no room raises it again with its next failure.
const DOUBTS_MAX: usize = 1_000;

/// Tenants whose routes are to be read anew, each once however often it was doubted. Pools raise doubts no more often
/// than their breakers let them try to log in.
#[derive(Debug, Default)]
pub struct Doubts {
    tenants: Mutex<BTreeSet<TenantId>>,
    raised: Notify,
}

impl Doubts {
    /// The tenant's route may be out of date.
    pub fn raise(&self, tenant: TenantId) {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if tenants.len() < DOUBTS_MAX {
            tenants.insert(tenant);
            drop(tenants);
            self.raised.notify_one();
        }
    }

    /// A tenant whose route is to be read anew. Waits for one.
    pub async fn next(&self) -> TenantId {
        loop {
            let first = self.tenants.lock().unwrap_or_else(PoisonError::into_inner).pop_first();
            match first {
                Some(tenant) => return tenant,
                None => self.raised.notified().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_doubt_is_kept_until_somebody_looks_and_only_once() {
        let (doubts, first, second) = (Doubts::default(), TenantId::generate(), TenantId::generate());
        for tenant in [first, second, first] {
            doubts.raise(tenant);
        }
        let looked_at = BTreeSet::from([doubts.next().await, doubts.next().await]);
        assert_eq!(looked_at, BTreeSet::from([first, second]));
        tokio::select! {
            biased;
            tenant = doubts.next() => panic!("{tenant} again"),
            () = tokio::task::yield_now() => doubts.raise(second),
        }
        assert_eq!(doubts.next().await, second);
    }
}
