//! Questions to identity providers that tenants name: for their settings, for their keys. Each is a request that we
//! make on a stranger's word, so there are few of them, to whatever address.

use crate::attempts::Attempts;
use crate::counted::{Counted, Held};
use std::time::{Duration, Instant};
use tenancy::TenantId;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Of one tenant: as many as somebody makes who tries settings out.
const OF_TENANT_MAX: u32 = 10;

/// In which a tenant gets them back.
const WINDOW: Duration = Duration::from_secs(60);

/// Of all tenants at once. Each takes as long as its provider does to answer, up to a bound.
const AT_ONCE_MAX: usize = 8;

/// Of one tenant at once: providers of its own that answer slowly are not to keep the others from asking theirs.
const OF_TENANT_AT_ONCE_MAX: usize = 2;

/// What bounds them.
pub(crate) struct Inquiries {
    by_tenant: Attempts<TenantId>,
    under_way: Counted<TenantId>,
    at_once: Semaphore,
}

/// Room for one, until it is dropped.
pub(crate) struct Inquiry<'a> {
    _of_tenant: Held<TenantId>,
    _of_all: SemaphorePermit<'a>,
}

impl Default for Inquiries {
    fn default() -> Self {
        Self {
            by_tenant: Attempts::new(OF_TENANT_MAX, WINDOW),
            under_way: Counted::default(),
            at_once: Semaphore::new(AT_ONCE_MAX),
        }
    }
}

impl Inquiries {
    /// Room for one of a tenant's, until it is dropped. None if it has made too many, or too many are being made.
    pub(crate) fn begin(&self, tenant: TenantId) -> Option<Inquiry<'_>> {
        let of_tenant = self.under_way.take(vec![tenant], |_| OF_TENANT_AT_ONCE_MAX)?;
        let of_all = self.at_once.try_acquire().ok()?;
        // However it ends, it was made.
        self.by_tenant
            .take(tenant, Instant::now())
            .map(|_| Inquiry { _of_tenant: of_tenant, _of_all: of_all })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_tenants_together_make_few_at_once() {
        let inquiries = Inquiries::default();
        let open: Vec<_> = std::iter::from_fn(|| inquiries.begin(TenantId::generate())).collect();
        assert_eq!(open.len(), AT_ONCE_MAX);
        drop(open);
        assert!(inquiries.begin(TenantId::generate()).is_some());
    }

    #[test]
    fn one_tenant_does_not_take_all_the_places() {
        let (inquiries, tenant) = (Inquiries::default(), TenantId::generate());
        let open: Vec<_> = std::iter::from_fn(|| inquiries.begin(tenant)).collect();
        assert_eq!(open.len(), OF_TENANT_AT_ONCE_MAX);
        assert!(inquiries.begin(TenantId::generate()).is_some(), "others have places left");
        drop(open);
        assert!(inquiries.begin(tenant).is_some());
    }

    #[test]
    fn one_tenant_makes_few_in_a_while() {
        let (inquiries, tenant) = (Inquiries::default(), TenantId::generate());
        let made = std::iter::from_fn(|| inquiries.begin(tenant).map(drop)).count();
        assert_eq!(made, 10);
        assert!(inquiries.begin(TenantId::generate()).is_some(), "others make theirs");
    }
}
