//! Audit rows. Every writing method adds its own; callers add what only they know.

use crate::error::CatalogError;
use crate::sql::{json, text, uuid};
use crate::tx::Tx;
use serde_json::Value;
use tenancy::TenantId;

/// A row that waits for the commit.
pub(crate) struct Entry {
    action: String,
    tenant: Option<TenantId>,
    target: String,
    detail: Value,
}

impl Tx {
    /// Notes that `action` was done to `target`; written when the transaction commits. `detail` must
    /// not hold a secret.
    pub fn audit(&mut self, action: &str, tenant: Option<TenantId>, target: &str, detail: Value) {
        self.audit.push(Entry { action: action.to_owned(), tenant, target: target.to_owned(), detail });
    }

    /// Writes what was noted. The database chains the rows, one transaction after the other.
    pub(crate) async fn write_audit(&mut self) -> Result<(), CatalogError> {
        for entry in std::mem::take(&mut self.audit) {
            let actor = self.context.actor.clone();
            let request_id = self.context.request_id.clone();
            self.execute(
                "insert into catalog.audit (actor, action, tenant_id, target, request_id, detail)
                 values ($1, $2, $3, $4, $5, $6)",
                &[
                    text(actor.as_str()),
                    text(entry.action.as_str()),
                    uuid(entry.tenant.map(TenantId::as_uuid)),
                    text(entry.target.as_str()),
                    text(request_id.as_str()),
                    json(&entry.detail),
                ],
            )
            .await?;
        }
        Ok(())
    }
}
