//! Where tenants' data is. A name is in the ledger before anything is made under it, and stays there;
//! an oid is in the ledger before anything may be dropped by it.

use crate::error::CatalogError;
use crate::read::logins::keys_context;
use crate::read::placements::NameKind;
use crate::sql::{bigint, bytes, text, uuid};
use crate::tx::Tx;
use pgwire::scram::ClientKeys;
use serde_json::json;
use tenancy::{Access, ClusterId, DatabaseName, RoleName, TenantId};

/// A place to reserve for a tenant.
#[derive(Debug, Clone)]
pub struct NewPlacement {
    /// Whose.
    pub tenant: TenantId,
    /// On which server.
    pub cluster: ClusterId,
    /// In which database. Random and never used before.
    pub database: DatabaseName,
    /// Owned by which role. Random and never used before.
    pub role: RoleName,
    /// What logs in as the role. Stored sealed.
    pub keys: ClientKeys,
}

impl Tx {
    /// Reserves a place on a cluster and both names in the ledger.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`] when the tenant is placed already or a name was ever used,
    /// [`CatalogError::Refused`] when the cluster is full, takes no new tenants, or stands where the
    /// tenant does not allow it, or when the catalog is unavailable.
    pub async fn placement_create(&mut self, new: &NewPlacement) -> Result<(), CatalogError> {
        let slug = self.slug_of(new.tenant).await?;
        let sealed = self.key.seal_bytes(&keys_context(new.tenant, Access::Owner), &new.keys.to_bytes())?;
        let ledger = "insert into catalog.physical_names (kind, name, cluster_id, tenant_id)
                      values ('database', $1, $3, $4), ('role', $2, $3, $4)";
        let names = [
            text(new.database.as_str()),
            text(new.role.as_str()),
            uuid(new.cluster.as_uuid()),
            uuid(new.tenant.as_uuid()),
        ];
        self.execute(ledger, &names).await?;
        let sql = "insert into catalog.placements (tenant_id, cluster_id, database_name, role_name, keys)
                   values ($1, $2, $3, $4, $5)";
        let args = [
            uuid(new.tenant.as_uuid()),
            uuid(new.cluster.as_uuid()),
            text(new.database.as_str()),
            text(new.role.as_str()),
            bytes(sealed.as_slice()),
        ];
        self.execute(sql, &args).await?;
        let detail = json!({ "cluster": new.cluster, "database": new.database, "role": new.role });
        self.audit("placement.create", Some(new.tenant), &slug, detail);
        Ok(())
    }

    /// Records the oid of the tenant's database, once it is made. The same oid again changes nothing.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when the tenant is not placed, [`CatalogError::Refused`] when
    /// another oid is on record, or when the catalog is unavailable.
    pub async fn database_created(&mut self, tenant: TenantId, oid: u32) -> Result<(), CatalogError> {
        let sql = "with placed as (
                     update catalog.placements set database_oid = $2
                     where tenant_id = $1 and database_oid is distinct from $2 returning database_name)
                   update catalog.physical_names n set oid = $2 from placed
                   where n.kind = 'database' and n.name = placed.database_name";
        self.made(sql, tenant, NameKind::Database, oid).await
    }

    /// Records the oid of the tenant's role, once it is made. The same oid again changes nothing.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when the tenant is not placed, [`CatalogError::Refused`] when
    /// another oid is on record, or when the catalog is unavailable.
    pub async fn role_created(&mut self, tenant: TenantId, oid: u32) -> Result<(), CatalogError> {
        let sql = "update catalog.physical_names n set oid = $2 from catalog.placements p
                   where p.tenant_id = $1 and n.kind = 'role' and n.name = p.role_name
                     and n.oid is distinct from $2";
        self.made(sql, tenant, NameKind::Role, oid).await
    }

    /// Records that nothing of this name exists any more, or that it never came to be. Whoever says
    /// so has looked. Saying it again changes nothing.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when the ledger does not know the name, or when the catalog is unavailable.
    pub async fn physical_name_dropped(
        &mut self,
        tenant: TenantId,
        kind: NameKind,
        name: &str,
    ) -> Result<(), CatalogError> {
        let sql = "update catalog.physical_names set dropped_at = coalesce(dropped_at, now())
                   where tenant_id = $1 and kind = $2 and name = $3";
        let args = [uuid(tenant.as_uuid()), text(kind.as_str()), text(name)];
        if self.execute(sql, &args).await? == 0 {
            return Err(CatalogError::NotFound { what: "physical name" });
        }
        self.audit("physical-name.dropped", Some(tenant), name, json!({ "kind": kind.as_str() }));
        Ok(())
    }

    /// Replaces the keys of the tenant's role. Whoever does has given the role their verifier.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when the tenant is not placed, or when the catalog is unavailable.
    pub async fn placement_keys_set(
        &mut self,
        tenant: TenantId,
        keys: &ClientKeys,
    ) -> Result<(), CatalogError> {
        let sealed = self.key.seal_bytes(&keys_context(tenant, Access::Owner), &keys.to_bytes())?;
        let sql = "update catalog.placements set keys = $2 where tenant_id = $1";
        if self.execute(sql, &[uuid(tenant.as_uuid()), bytes(sealed.as_slice())]).await? == 0 {
            return Err(CatalogError::NotFound { what: "placement" });
        }
        self.audit("placement.keys", Some(tenant), &tenant.to_string(), json!({}));
        Ok(())
    }

    /// Forgets a tenant's place, once the ledger says that its database and role are gone. There
    /// being none is fine.
    ///
    /// # Errors
    /// [`CatalogError::Refused`] when something may still exist, or when the catalog is unavailable.
    pub async fn placement_delete(&mut self, tenant: TenantId) -> Result<(), CatalogError> {
        let sql = "delete from catalog.placements where tenant_id = $1";
        if self.execute(sql, &[uuid(tenant.as_uuid())]).await? > 0 {
            self.audit("placement.delete", Some(tenant), &tenant.to_string(), json!({}));
        }
        Ok(())
    }

    async fn made(
        &mut self,
        sql: &str,
        tenant: TenantId,
        kind: NameKind,
        oid: u32,
    ) -> Result<(), CatalogError> {
        if self.execute(sql, &[uuid(tenant.as_uuid()), bigint(i64::from(oid))]).await? == 0 {
            let placed = "select from catalog.placements where tenant_id = $1";
            let placed = self.row(placed, &[uuid(tenant.as_uuid())]).await?;
            return placed.map(drop).ok_or(CatalogError::NotFound { what: "placement" });
        }
        let detail = json!({ "kind": kind.as_str(), "oid": oid });
        self.audit("physical-name.created", Some(tenant), &tenant.to_string(), detail);
        Ok(())
    }
}
