//! Whether whoever asks may still do what they were let in for. A request is let in by its headers, and its body may take
//! as long as a request may: meanwhile a key can be revoked, a session ended, a member sent away.

use super::auth::{ActsIn, Principal};
use super::caller::Caller;
use super::problem::{ApiResult, ProblemKind};
use catalog_schema::{CatalogError, Tx};

/// Refuses whoever may not any more, in the transaction that would make the change. The tenant is locked first, as
/// everybody does who locks tenants and people.
pub(super) async fn check(caller: &Caller, tx: &mut Tx) -> ApiResult<()> {
    if let (Some(ActsIn { tenant, .. }), false) = (caller.acts_in, caller.principal == Principal::Operator) {
        tx.lock_tenant(tenant).await?;
    }
    let stands = match &caller.principal {
        Principal::Operator => true,
        Principal::TenantKey(key) => tx.key_stands(key.credential).await?,
        Principal::User(signed_in) => tx.session_stands(signed_in.user, signed_in.session).await?,
    };
    if !stands {
        return Err(ProblemKind::Unauthorized.into());
    }
    let (Some(ActsIn { tenant, by }), Principal::User(signed_in)) = (caller.acts_in, &caller.principal)
    else {
        return Ok(());
    };
    match tx.membership_read(tenant, signed_in.user).await {
        Ok(membership) if membership.role.permissions().contains(by) => Ok(()),
        Ok(_) => Err(ProblemKind::Forbidden.into()),
        Err(CatalogError::NotFound { .. }) => Err(ProblemKind::TenantNotFound.into()),
        Err(error) => Err(error.into()),
    }
}
