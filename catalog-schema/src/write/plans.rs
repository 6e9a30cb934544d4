//! Plans, and what single tenants may beyond or below them.

use crate::error::CatalogError;
use crate::read::plans::{Entitlement, PlanRecord};
use crate::sql::{bigint, text, uuid};
use crate::tx::Tx;
use serde_json::json;
use tenancy::TenantId;

impl Tx {
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

    /// Sets a tenant's own limits, all at once; an unset one falls back to the plan's.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when there is no such living tenant, or when the catalog is unavailable.
    pub async fn entitlement_set(
        &mut self,
        tenant: TenantId,
        entitlement: &Entitlement,
    ) -> Result<(), CatalogError> {
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
        Ok(())
    }
}
