//! What was put on tenants' login roles in PostgreSQL.

use crate::error::CatalogError;
use crate::read::role_settings::RoleSettings;
use crate::sql::{bigint, uuid};
use crate::tx::Tx;
use serde_json::json;
use tenancy::TenantId;

impl Tx {
    /// A placed tenant's login roles have these settings from now on; `why` says what for. Gateways let go of the
    /// connections that were opened before, as each becomes idle.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn role_settings_set(
        &mut self,
        tenant: TenantId,
        settings: &RoleSettings,
        why: &str,
    ) -> Result<(), CatalogError> {
        let sql = "insert into catalog.role_settings
                     (tenant_id, statement_timeout_ms, idle_in_transaction_timeout_ms, work_mem_kb)
                   values ($1, $2::bigint, $3::bigint, $4::bigint)
                   on conflict (tenant_id) do update set
                     statement_timeout_ms = excluded.statement_timeout_ms,
                     idle_in_transaction_timeout_ms = excluded.idle_in_transaction_timeout_ms,
                     work_mem_kb = excluded.work_mem_kb,
                     epoch = role_settings.epoch + 1, applied_at = clock_timestamp()";
        let RoleSettings { statement_timeout_ms, idle_in_transaction_timeout_ms, work_mem_kb } = *settings;
        let numbers = [statement_timeout_ms, idle_in_transaction_timeout_ms, work_mem_kb];
        let [statement, idle, work_mem] = numbers.map(|number| bigint(i64::from(number)));
        self.execute(sql, &[uuid(tenant.as_uuid()), statement, idle, work_mem]).await?;
        let detail = json!({
            "why": why, "statement_timeout_ms": statement_timeout_ms,
            "idle_in_transaction_timeout_ms": idle_in_transaction_timeout_ms, "work_mem_kb": work_mem_kb,
        });
        self.audit("placement.role-settings", Some(tenant), &tenant.to_string(), detail);
        Ok(())
    }
}
