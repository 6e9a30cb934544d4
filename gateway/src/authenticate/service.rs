//! Service credentials: programs of the installation that act for tenants which their requests name.
//!
//! They are the only ones that may say so by a header. What they may act for and do stands in the identity document, by
//! the hash of their key: as with API keys there is nothing to guess, and the time that a look-up takes tells nothing.

use super::identity::{CredentialRef, Identity};
use super::is_future;
use crate::error::Refusal;
use crate::resolve::installation::Installation;
use crate::resolve::{Claims, Court, Found, Tenant};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tenancy::{ErrorKind, Secret};

/// What every key of a service credential begins with.
pub const PREFIX: &str = "tns_";

/// Longer than any key; more is not hashed.
const KEY_BYTES_MAX: usize = 256;

/// The tenant that a service acts for in this request, and as whom. `claims` are what names the tenant.
///
/// # Errors
/// [`ErrorKind::Unauthenticated`]: no such key, or it has expired. [`ErrorKind::TenantMissing`],
/// [`ErrorKind::TenantConflict`]. [`ErrorKind::Forbidden`]: it may not act for this tenant, whether or not there is such
/// a one. [`ErrorKind::TenantUnknown`], only to one that may act for every tenant.
pub async fn authenticate(
    key: &Secret,
    installation: &Installation,
    claims: &Claims,
    court: Court<'_>,
) -> Result<(Arc<Tenant>, Identity), Refusal> {
    let known = installation.known_or_refuse().await?;
    let key = key.expose();
    if key.len() > KEY_BYTES_MAX {
        return Err(unknown());
    }
    let service = known.service(&Sha256::digest(key.as_bytes()).into()).ok_or_else(unknown)?;
    if !is_future(service.expires_at) {
        return Err(unknown());
    }
    let found = court.decide(claims, None).await?.ok_or_else(|| {
        Refusal::new(ErrorKind::TenantMissing, "no tenant was named")
            .hint("say for which one the request is, by X-Tenant-ID, the path or the host")
    })?;
    let tenant = match found {
        Found::Tenant(tenant) if service.acts_for(tenant.id()) => tenant,
        Found::Unknown(_) if service.tenants.is_none() => {
            return Err(Refusal::new(ErrorKind::TenantUnknown, "there is no such tenant"));
        }
        Found::Tenant(_) | Found::Unknown(_) => {
            return Err(Refusal::new(
                ErrorKind::Forbidden,
                "the service credential may not act for this tenant",
            ));
        }
    };
    let identity = Identity {
        subject: format!("service:{}", service.name).into(),
        access: service.role.access(),
        credential: CredentialRef::Service(service.id),
    };
    Ok((tenant, identity))
}

fn unknown() -> Refusal {
    Refusal::new(ErrorKind::Unauthenticated, "the service credential is not valid")
        .hint("it may have been revoked or have expired")
}
