//! Plans, and what single tenants may beyond or below them.

use crate::error::{CatalogError, Constraint};
use crate::read::plans::{Entitlement, PlanRecord, entitlement_of_row, plan_of_row};
use crate::read::tenants::TenantRecord;
use crate::sql::{bigint, text, uuid};
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
        let sql = "insert into catalog.plans
                     (name, pool_size, client_limit, queue_limit, checkout_timeout_ms, floor, weight)
                   values ($1, $2::bigint, $3::bigint, $4::bigint, $5::bigint, $6::bigint, $7::bigint)
                   on conflict (name) do update set pool_size = excluded.pool_size,
                     client_limit = excluded.client_limit, queue_limit = excluded.queue_limit,
                     checkout_timeout_ms = excluded.checkout_timeout_ms,
                     floor = excluded.floor, weight = excluded.weight";
        let args = [
            text(plan.name.as_str()),
            bigint(i64::from(plan.limits.pool_size)),
            bigint(i64::from(plan.limits.client_limit)),
            bigint(i64::from(plan.limits.queue_limit)),
            bigint(i64::from(plan.limits.checkout_timeout_ms)),
            bigint(i64::from(plan.limits.floor)),
            bigint(i64::from(plan.limits.weight)),
        ];
        self.execute(sql, &args).await?;
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
        let sql = "insert into catalog.entitlements
                     (tenant_id, pool_size, client_limit, queue_limit, checkout_timeout_ms, floor, weight)
                   values ($1, $2::bigint, $3::bigint, $4::bigint, $5::bigint, $6::bigint, $7::bigint)
                   on conflict (tenant_id) do update set pool_size = excluded.pool_size,
                     client_limit = excluded.client_limit, queue_limit = excluded.queue_limit,
                     checkout_timeout_ms = excluded.checkout_timeout_ms,
                     floor = excluded.floor, weight = excluded.weight";
        let args = [
            uuid(tenant.as_uuid()),
            bigint(entitlement.pool_size.map(i64::from)),
            bigint(entitlement.client_limit.map(i64::from)),
            bigint(entitlement.queue_limit.map(i64::from)),
            bigint(entitlement.checkout_timeout_ms.map(i64::from)),
            bigint(entitlement.floor.map(i64::from)),
            bigint(entitlement.weight.map(i64::from)),
        ];
        self.execute(sql, &args).await?;
        let detail = json!({
            "pool_size": entitlement.pool_size, "client_limit": entitlement.client_limit,
            "queue_limit": entitlement.queue_limit, "checkout_timeout_ms": entitlement.checkout_timeout_ms,
            "floor": entitlement.floor, "weight": entitlement.weight,
        });
        self.audit("entitlement.set", Some(tenant), &tenant.to_string(), detail);
        self.tenant_read(tenant).await
    }
}
