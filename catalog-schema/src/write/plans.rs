//! Plans, and what single tenants may beyond or below them.

use crate::error::{CatalogError, Constraint};
use crate::read::plans::{Entitlement, PlanRecord, entitlement_of_row, plan_of_row};
use crate::read::tenants::TenantRecord;
use crate::sql::{Arg, bigint, text, uuid};
use crate::tx::Tx;
use serde_json::json;
use tenancy::{PlanName, TenantId};

impl Tx {
    /// Adds a plan.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`] when there is one of this name, or when a limit is out of its range, or the catalog
    /// is unavailable.
    pub async fn plan_create(&mut self, plan: &PlanRecord) -> Result<(), CatalogError> {
        let sql = "select from catalog.plans where name = $1";
        if self.row(sql, &[text(plan.name.as_str())]).await?.is_some() {
            return Err(CatalogError::Conflict { constraint: Constraint::PlanTaken });
        }
        self.plan_set(plan).await
    }

    /// A plan that nobody else changes before this transaction ends.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], or when the catalog is unavailable.
    pub async fn plan_lock(&mut self, name: &PlanName) -> Result<PlanRecord, CatalogError> {
        let sql = "select * from catalog.plans where name = $1 for no key update";
        let row = self.row(sql, &[text(name.as_str())]).await?;
        plan_of_row(&row.ok_or(CatalogError::NotFound { what: "plan" })?)
    }

    /// Adds a plan or changes its limits, for all tenants that have it.
    ///
    /// # Errors
    /// When a limit is out of its range, or the catalog is unavailable.
    pub async fn plan_set(&mut self, plan: &PlanRecord) -> Result<(), CatalogError> {
        let args =
            [text(plan.name.as_str())].into_iter().chain(limit_args(&plan.limits.into())).collect::<Vec<_>>();
        self.execute(&upsert("catalog.plans", "name"), &args).await?;
        self.audit("plan.set", None, plan.name.as_str(), json!(plan.limits));
        Ok(())
    }

    /// A tenant's own limits, which nobody else changes before this transaction ends.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when there is no such living tenant, [`CatalogError::StaleVersion`] when it is not
    /// at `expected_version`, or when the catalog is unavailable.
    pub async fn entitlement_lock(
        &mut self,
        tenant: TenantId,
        expected_version: Option<i64>,
    ) -> Result<Entitlement, CatalogError> {
        let current = self.lock_living_tenant(tenant).await?.version;
        if expected_version.is_some_and(|expected| expected != current) {
            return Err(CatalogError::StaleVersion { current });
        }
        let sql = "select * from catalog.entitlements where tenant_id = $1";
        let row = self.row(sql, &[uuid(tenant.as_uuid())]).await?;
        row.as_ref().map_or(Ok(Entitlement::default()), entitlement_of_row)
    }

    /// Sets a tenant's own limits, all at once; an unset one falls back to the plan's.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when there is no such living tenant, or when the catalog is unavailable.
    pub async fn entitlement_set(
        &mut self,
        tenant: TenantId,
        entitlement: &Entitlement,
    ) -> Result<TenantRecord, CatalogError> {
        self.lock_living_tenant(tenant).await?;
        let args = [uuid(tenant.as_uuid())].into_iter().chain(limit_args(entitlement)).collect::<Vec<_>>();
        self.execute(&upsert("catalog.entitlements", "tenant_id"), &args).await?;
        self.audit("entitlement.set", Some(tenant), &tenant.to_string(), json!(entitlement));
        self.tenant_read(tenant).await
    }
}

/// The columns of all limits, in the order of [`limit_args`].
const COLUMNS: [&str; 15] = [
    "pool_size",
    "client_limit",
    "queue_limit",
    "checkout_timeout_ms",
    "floor",
    "weight",
    "requests_per_second",
    "request_burst",
    "statement_timeout_ms",
    "idle_in_transaction_timeout_ms",
    "work_mem_kb",
    "result_bytes_max",
    "body_bytes_max",
    "storage_soft_bytes",
    "storage_hard_bytes",
];

/// The statement that adds a row of limits or changes them: its key, then [`limit_args`].
fn upsert(table: &str, key: &str) -> String {
    let values =
        (2..COLUMNS.len() + 2).map(|number| format!("${number}::bigint")).collect::<Vec<_>>().join(", ");
    let changes = COLUMNS.map(|column| format!("{column} = excluded.{column}")).join(", ");
    let columns = COLUMNS.join(", ");
    format!(
        "insert into {table} ({key}, {columns}) values ($1, {values}) on conflict ({key}) do update set {changes}"
    )
}

fn limit_args(limits: &Entitlement) -> [Arg<'static>; COLUMNS.len()] {
    // A number beyond a bigint is beyond its column as well, which says so.
    let wide = |limit: Option<u64>| bigint(limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX)));
    let narrow = |limit: Option<u32>| bigint(limit.map(i64::from));
    [
        narrow(limits.pool_size),
        narrow(limits.client_limit),
        narrow(limits.queue_limit),
        narrow(limits.checkout_timeout_ms),
        narrow(limits.floor),
        narrow(limits.weight),
        narrow(limits.requests_per_second),
        narrow(limits.request_burst),
        narrow(limits.statement_timeout_ms),
        narrow(limits.idle_in_transaction_timeout_ms),
        narrow(limits.work_mem_kb),
        wide(limits.result_bytes_max),
        wide(limits.body_bytes_max),
        wide(limits.storage_soft_bytes),
        wide(limits.storage_hard_bytes),
    ]
}
