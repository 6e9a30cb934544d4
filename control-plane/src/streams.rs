//! Progress streams that are open. Each costs a look at the catalog per event, so there are few: of everybody together,
//! of those who are not the operator, about one tenant, and of one principal. Who comes later polls.

use crate::counted::{Counted, Held};
use tenancy::TenantId;

/// Of everybody. The operator always finds the room that tenants cannot take.
const ALL_MAX: usize = 128;

/// Of all tenants' people and keys together.
const TENANTS_MAX: usize = 96;

/// Of one tenant's people and keys, about its operations: it has one or two at a time.
const TENANT_MAX: usize = 8;

/// Of one person or key.
const PRINCIPAL_MAX: usize = 4;

/// Whose streams are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Sharer {
    Everybody,
    Tenants,
    Tenant(TenantId),
    Principal(Vec<u8>),
}

impl Sharer {
    const fn max(&self) -> usize {
        match self {
            Self::Everybody => ALL_MAX,
            Self::Tenants => TENANTS_MAX,
            Self::Tenant(_) => TENANT_MAX,
            Self::Principal(_) => PRINCIPAL_MAX,
        }
    }
}

/// How many there are. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Streams(Counted<Sharer>);

/// Room for one stream, until it is dropped.
#[derive(Debug)]
pub(crate) struct Room(#[expect(dead_code, reason = "held for what dropping it does")] Held<Sharer>);

impl Streams {
    /// Room for one of the operator's, if there is any.
    pub(crate) fn open(&self) -> Option<Room> {
        self.0.take(vec![Sharer::Everybody], Sharer::max).map(Room)
    }

    /// Room for one of a principal's, about a tenant, if there is any.
    pub(crate) fn open_about(&self, tenant: TenantId, principal: Vec<u8>) -> Option<Room> {
        let own = [Sharer::Tenant(tenant), Sharer::Principal(principal)];
        let sharers = [Sharer::Everybody, Sharer::Tenants].into_iter().chain(own);
        self.0.take(sharers.collect(), Sharer::max).map(Room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(streams: &Streams, tenant: TenantId, principals: u8) -> Vec<Room> {
        let of = |principal| std::iter::from_fn(move || streams.open_about(tenant, vec![principal]));
        (0..principals).flat_map(of).collect()
    }

    #[test]
    fn neither_a_principal_nor_a_tenant_nor_all_of_them_take_every_stream() {
        let streams = Streams::default();
        assert_eq!(open(&streams, TenantId::generate(), 1).len(), PRINCIPAL_MAX);
        assert_eq!(open(&streams, TenantId::generate(), 200).len(), TENANT_MAX);
        let taken: Vec<Room> = (0..=TENANTS_MAX / TENANT_MAX)
            .flat_map(|n| {
                let tenant = TenantId::generate();
                let principals = [2 * n, 2 * n + 1].map(|n| u8::try_from(n).unwrap());
                let streams = &streams;
                principals
                    .into_iter()
                    .flat_map(move |one| std::iter::from_fn(move || streams.open_about(tenant, vec![one])))
            })
            .collect();
        assert_eq!(taken.len(), TENANTS_MAX);
        let operators: Vec<Room> = std::iter::from_fn(|| streams.open()).collect();
        assert_eq!(operators.len(), ALL_MAX - TENANTS_MAX, "the operator has room left");
        drop((taken, operators));
        assert!(streams.0.is_empty(), "what has ended is forgotten");
    }
}
