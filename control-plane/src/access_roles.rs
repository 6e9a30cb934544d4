//! The login roles beside a tenant's owner: reserved, made, granted, tried, put in order again.
//!
//! Provisioning does this step by step for a new tenant, the reconciler at once for one that an older release
//! made. Both hold the cluster's lock, and both may do it again. What the roles were granted is granted once, before
//! they are ready: afterwards the owner decides.

use crate::postgres::access::{self, Roles};
use crate::postgres::{Endpoint, PostgresError, Session, login, privileges, role};
use crate::secrets::{self, SecretsError};
use catalog_schema::{AccessRole, CatalogError, PlacementDetail, RoleLogin, RoleSettings, Tx};
use tenancy::{Access, RoleName};
use uuid::Uuid;

/// Why a role could not be reserved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotReserved {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Secrets(#[from] SecretsError),
}

/// A name for a role on a cluster. Names are random: they tell nothing, and no two are ever the same.
pub(crate) fn opaque_name() -> RoleName {
    format!("t_{}", Uuid::new_v4().simple()).parse().expect("letters, digits and an underscore make a name")
}

/// Reserves the roles that the placement does not have yet.
pub(crate) async fn reserve(tx: &mut Tx, placement: &PlacementDetail) -> Result<(), NotReserved> {
    for wanted in Access::GRANTED {
        if find(placement, wanted).is_none() {
            let login = RoleLogin { role: opaque_name(), keys: secrets::role_keys()? };
            tx.access_role_create(placement.tenant, wanted, &login).await?;
        }
    }
    Ok(())
}

/// Makes the roles that are reserved, with these settings. Returns their oids.
pub(crate) async fn make(
    ddl: &Session,
    placement: &PlacementDetail,
    settings: &RoleSettings,
) -> Result<Vec<(Access, u32)>, PostgresError> {
    let mut made = Vec::with_capacity(placement.access_roles.len());
    for AccessRole { access, login, .. } in &placement.access_roles {
        let verifier = secrets::role_verifier(&login.keys);
        let oid = role::ensure(ddl, &login.role, placement.tenant, &verifier).await?;
        role::set_settings(ddl, &login.role, &RoleSettings::default(), settings).await?;
        made.push((*access, oid));
    }
    Ok(made)
}

/// Grants the roles what they stand for, unless that was done once. `inside` is in the tenant's database.
pub(crate) async fn grant(inside: &Session, placement: &PlacementDetail) -> Result<(), PostgresError> {
    let Some(roles) = roles(placement) else { return Ok(()) };
    access::admit(inside, &placement.database, roles).await?;
    if placement.access_roles.iter().all(|role| role.is_ready) {
        return Ok(());
    }
    access::withhold(inside, roles).await?;
    access::grant(inside, roles).await
}

/// Lets the roles be asked what the gateway asks. `inside` is in the tenant's database, which has its marker.
pub(crate) async fn allow_identity_check(
    inside: &Session,
    placement: &PlacementDetail,
) -> Result<(), PostgresError> {
    for role in &placement.access_roles {
        privileges::allow_identity_check(inside, &role.login.role).await?;
    }
    Ok(())
}

/// Logs in as each of the roles, as the gateway will.
pub(crate) async fn check(endpoint: &Endpoint, placement: &PlacementDetail) -> Result<(), PostgresError> {
    for role in &placement.access_roles {
        login::check(endpoint, &placement.database, &role.login, placement.tenant).await?;
    }
    Ok(())
}

/// Takes back the passwords and settings that the roles have given themselves. They have these settings then.
pub(crate) async fn put_in_order(
    ddl: &Session,
    placement: &PlacementDetail,
    settings: &RoleSettings,
) -> Result<(), PostgresError> {
    for AccessRole { login, .. } in &placement.access_roles {
        // One that is not there yet is made as it is to be.
        if role::find(ddl, &login.role, placement.tenant).await?.is_some() {
            let verifier = secrets::role_verifier(&login.keys);
            role::allow_login(ddl, &login.role, &verifier, settings).await?;
        }
    }
    Ok(())
}

/// Puts these settings on every role of the tenant, the owner's too, in place of those from before.
pub(crate) async fn set_settings(
    ddl: &Session,
    placement: &PlacementDetail,
    before: &RoleSettings,
    settings: &RoleSettings,
) -> Result<(), PostgresError> {
    for name in names(placement) {
        // One that is not there yet is made with them.
        if role::find(ddl, name, placement.tenant).await?.is_some() {
            role::set_settings(ddl, name, before, settings).await?;
        }
    }
    Ok(())
}

/// Lets the roles into the database, whatever was taken from them. `session` may be in any database of the cluster.
pub(crate) async fn admit(session: &Session, placement: &PlacementDetail) -> Result<(), PostgresError> {
    match roles(placement).filter(|_| placement.access_roles.iter().all(|role| role.is_ready)) {
        Some(roles) => access::admit(session, &placement.database, roles).await,
        None => Ok(()),
    }
}

/// Every role that sessions of the tenant may be logged in as, the owner's last.
pub(crate) fn names(placement: &PlacementDetail) -> impl Iterator<Item = &RoleName> {
    placement.access_roles.iter().map(|role| &role.login.role).chain([&placement.role])
}

fn find(placement: &PlacementDetail, wanted: Access) -> Option<&RoleName> {
    placement.access_roles.iter().find(|role| role.access == wanted).map(|role| &role.login.role)
}

fn roles(placement: &PlacementDetail) -> Option<Roles<'_>> {
    let (write, read) = (find(placement, Access::Write)?, find(placement, Access::Read)?);
    Some(Roles { owner: &placement.role, write, read })
}
