//! The end of a tenant.

use crate::error::CatalogError;
use crate::read::tenants::TenantRecord;
use crate::sql::{json, text, uuid};
use crate::tx::Tx;
use serde_json::{Value, json};
use tenancy::{TenantId, TenantState};

impl Tx {
    /// Marks a tenant deleted, removes what is left of it (credentials, own limits, aliases, issuers and
    /// their names for it, the name for people) and writes its tombstone. Its place must be gone before. One that is deleted
    /// already stays as it is, so a step may do this twice.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], [`CatalogError::IllegalTransition`] from a state that does not lead
    /// to the end, [`CatalogError::Refused`] when it still has a place, or when the catalog is unavailable.
    pub async fn tenant_bury(
        &mut self,
        id: TenantId,
        evidence: &Value,
    ) -> Result<TenantRecord, CatalogError> {
        let before = self.lock_tenant(id).await?;
        if before.state == TenantState::Deleted {
            return Ok(before);
        }
        if !before.state.may_become(TenantState::Deleted) {
            return Err(CatalogError::IllegalTransition { from: before.state, to: TenantState::Deleted });
        }
        for table in ["credentials", "custom_domains", "entitlements", "slug_aliases"] {
            let sql = format!("delete from catalog.{table} where tenant_id = $1");
            self.execute(&sql, &[uuid(id.as_uuid())]).await?;
        }
        self.tenant_issuers_delete(id).await?;
        let sql = "update catalog.tenants set state = 'deleted', deleted_at = now(), display_name = '' where id = $1";
        self.execute(sql, &[uuid(id.as_uuid())]).await?;
        self.people_delete(id).await?;
        let sql = "insert into catalog.tombstones (tenant_id, slug, evidence) values ($1, $2, $3)";
        self.execute(sql, &[uuid(id.as_uuid()), text(before.slug.as_str()), json(evidence)]).await?;
        self.audit("tenant.bury", Some(id), before.slug.as_str(), json!({ "from": before.state }));
        self.tenant_read(id).await
    }
}
