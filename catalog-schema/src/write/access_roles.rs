//! The login roles beside the owner's. As with every physical name: in the ledger before the role is made, its oid
//! in the ledger before it may be dropped.

use crate::error::CatalogError;
use crate::read::logins::{RoleLogin, keys_context};
use crate::sql::{bigint, bytes, text, uuid};
use crate::tx::Tx;
use serde_json::json;
use tenancy::{Access, TenantId};

impl Tx {
    /// Reserves a role for this access of a placed tenant, and its name in the ledger. No gateway is told of it
    /// before [`Tx::access_roles_ready`].
    ///
    /// # Errors
    /// [`CatalogError::Conflict`] when there is one for this access or its name was ever used,
    /// [`CatalogError::NotFound`] when the tenant is not placed, or when the catalog is unavailable.
    pub async fn access_role_create(
        &mut self,
        tenant: TenantId,
        access: Access,
        login: &RoleLogin,
    ) -> Result<(), CatalogError> {
        let sealed = self.key.seal_bytes(&keys_context(tenant, access), &login.keys.to_bytes())?;
        let ledger = "insert into catalog.physical_names (kind, name, cluster_id, tenant_id)
                      select 'role', $2, p.cluster_id, p.tenant_id from catalog.placements p
                      where p.tenant_id = $1";
        let name = text(login.role.as_str());
        if self.execute(ledger, &[uuid(tenant.as_uuid()), name]).await? == 0 {
            return Err(CatalogError::NotFound { what: "placement" });
        }
        let sql = "insert into catalog.placement_roles (tenant_id, access, role_name, keys)
                   values ($1, $2, $3, $4)";
        let args = [
            uuid(tenant.as_uuid()),
            text(access.as_str()),
            text(login.role.as_str()),
            bytes(sealed.as_slice()),
        ];
        self.execute(sql, &args).await?;
        let detail = json!({ "access": access, "role": login.role });
        self.audit("placement.role", Some(tenant), &tenant.to_string(), detail);
        Ok(())
    }

    /// Records the oid of the role for this access, once it is made. The same oid again changes nothing.
    ///
    /// # Errors
    /// [`CatalogError::Refused`] when another oid is on record, or when the catalog is unavailable.
    pub async fn access_role_created(
        &mut self,
        tenant: TenantId,
        access: Access,
        oid: u32,
    ) -> Result<(), CatalogError> {
        let sql = "update catalog.physical_names n set oid = $2 from catalog.placement_roles r
                   where r.tenant_id = $1 and r.access = $3 and n.kind = 'role' and n.name = r.role_name
                     and n.oid is distinct from $2";
        let args = [uuid(tenant.as_uuid()), bigint(i64::from(oid)), text(access.as_str())];
        if self.execute(sql, &args).await? > 0 {
            let detail = json!({ "kind": "role", "access": access, "oid": oid });
            self.audit("physical-name.created", Some(tenant), &tenant.to_string(), detail);
        }
        Ok(())
    }

    /// Tells gateways of the tenant's roles. Whoever says so has logged in as each.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn access_roles_ready(&mut self, tenant: TenantId) -> Result<(), CatalogError> {
        let sql = "update catalog.placement_roles set is_ready = true where tenant_id = $1 and not is_ready";
        let made = self.execute(sql, &[uuid(tenant.as_uuid())]).await?;
        if made > 0 {
            self.audit("placement.roles-ready", Some(tenant), &tenant.to_string(), json!({ "roles": made }));
        }
        Ok(())
    }
}
