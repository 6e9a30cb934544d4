//! The login roles of a tenant's database: one for each access.

use crate::error::CatalogError;
use crate::key::MasterKey;
use crate::row::Columns;
use pgwire::scram::ClientKeys;
use tenancy::{Access, RoleName, TenantId};
use tokio_postgres::Row;

/// A role to log in as, and what logs in as it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleLogin {
    /// The physical role.
    pub role: RoleName,
    /// What logs in as the role, opened. No role has a password.
    pub keys: ClientKeys,
}

/// The login roles of one tenant's database. None of them is a member of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logins {
    /// The role that owns the database.
    pub owner: RoleLogin,
    /// The role that reads and writes; none while it is being made.
    pub write: Option<RoleLogin>,
    /// The role that reads; none while it is being made.
    pub read: Option<RoleLogin>,
}

impl Logins {
    /// Only the owner's.
    #[must_use]
    pub const fn of_owner(owner: RoleLogin) -> Self {
        Self { owner, write: None, read: None }
    }

    /// The role for this access; none while it is being made.
    #[must_use]
    pub const fn of(&self, access: Access) -> Option<&RoleLogin> {
        match access {
            Access::Owner => Some(&self.owner),
            Access::Write => self.write.as_ref(),
            Access::Read => self.read.as_ref(),
        }
    }

    fn set(&mut self, access: Access, login: RoleLogin) {
        match access {
            Access::Owner => self.owner = login,
            Access::Write => self.write = Some(login),
            Access::Read => self.read = Some(login),
        }
    }
}

/// The context under which the keys of a tenant's role are sealed.
pub(crate) fn keys_context(tenant: TenantId, access: Access) -> String {
    match access {
        // From before there were other roles than the owner's.
        Access::Owner => format!("role-keys:{tenant}"),
        Access::Write | Access::Read => format!("role-keys:{tenant}:{access}"),
    }
}

/// Opens the keys of a tenant's role.
pub(crate) fn open_keys(
    key: &MasterKey,
    tenant: TenantId,
    access: Access,
    sealed: &[u8],
) -> Result<ClientKeys, CatalogError> {
    let clear = key.open_bytes(&keys_context(tenant, access), sealed)?;
    ClientKeys::from_bytes(&clear).map_err(|why| CatalogError::corrupt("keys", why))
}

/// For a statement over `catalog.placements p`: the roles beside the owner's that are ready.
pub(crate) const LOGIN_COLUMNS: &str = "
  array(select r.access from catalog.placement_roles r
        where r.tenant_id = p.tenant_id and r.is_ready order by r.access) as login_accesses,
  array(select r.role_name from catalog.placement_roles r
        where r.tenant_id = p.tenant_id and r.is_ready order by r.access) as login_roles,
  array(select r.keys from catalog.placement_roles r
        where r.tenant_id = p.tenant_id and r.is_ready order by r.access) as login_keys";

/// The login roles of a placement's row; none while the owner's has no keys.
pub(crate) fn logins_of_row(
    row: &Row,
    tenant: TenantId,
    key: &MasterKey,
) -> Result<Option<Logins>, CatalogError> {
    let Some(sealed) = row.value::<Option<Vec<u8>>>("keys")? else { return Ok(None) };
    let keys = open_keys(key, tenant, Access::Owner, &sealed)?;
    let mut logins = Logins::of_owner(RoleLogin { role: row.word("role_name")?, keys });
    let accesses: Vec<Access> = row.words("login_accesses")?;
    let roles: Vec<RoleName> = row.words("login_roles")?;
    let sealed: Vec<Vec<u8>> = row.value("login_keys")?;
    for ((access, role), sealed) in accesses.into_iter().zip(roles).zip(sealed) {
        logins.set(access, RoleLogin { role, keys: open_keys(key, tenant, access, &sealed)? });
    }
    Ok(Some(logins))
}
