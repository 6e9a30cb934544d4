//! May an authenticated client enter now?
//!
//! What is said here is said only after authentication: a stranger learns nothing of a tenant's state.
//! A permit is a guard; dropping it on any path gives the place back.

pub mod addresses;
pub mod allow_list;
pub mod feature;
pub mod gate;
pub mod rate;
pub mod storage;

use crate::error::Refusal;
use crate::resolve::{Routes, Tenant};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tenancy::{ErrorKind, TenantState};

/// One client's place within its tenant's limit.
pub struct ClientPermit(Arc<AtomicU32>);

impl Drop for ClientPermit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Lets a client in.
///
/// # Errors
/// The tenant is not active, or has as many clients as its plan allows, or has left the cache meanwhile: changes
/// of its route would not be heard of.
pub fn admit(tenant: &Arc<Tenant>, routes: &Routes) -> Result<ClientPermit, Refusal> {
    check_state(tenant)?;
    gate::not_disabled(tenant.gate())?;
    let limit = tenant.route().limits.client_limit;
    let clients = tenant.clients();
    clients
        .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| (count < limit).then_some(count + 1))
        .map_err(|_full| {
        Refusal::new(ErrorKind::ClientLimit, format!("the tenant already has {limit} clients connected"))
            .hint("close connections that are not needed, or ask for a larger plan")
    })?;
    let permit = ClientPermit(Arc::clone(clients));
    // In this order: a tenant that has a client does not make room for others.
    if routes.knows(tenant) {
        Ok(permit)
    } else {
        Err(Refusal::new(ErrorKind::TenantUnavailable, "the tenant's route has just changed")
            .hint("try again"))
    }
}

/// May new work start for the tenant?
///
/// # Errors
/// It is suspended, not ready, or gone, or nobody is served because of what its database takes.
pub fn check_state(tenant: &Tenant) -> Result<(), Refusal> {
    may_work(tenant.state())?;
    storage::is_served(tenant.storage(), || tenant.limits())
}

/// May new work start for a tenant in this state?
///
/// # Errors
/// It is suspended, not ready, or gone.
pub fn may_work(state: TenantState) -> Result<(), Refusal> {
    match state {
        TenantState::Active => Ok(()),
        TenantState::Suspended => Err(Refusal::new(ErrorKind::TenantSuspended, "the tenant is suspended")
            .hint("its data is kept; whoever runs this service can resume it")),
        TenantState::Provisioning => {
            Err(Refusal::new(ErrorKind::TenantUnavailable, "the tenant is being provisioned")
                .hint("try again in a moment"))
        }
        TenantState::Purging | TenantState::Deleted => {
            Err(Refusal::new(ErrorKind::TenantUnavailable, "the tenant is being deleted"))
        }
    }
}
