//! Plans, and what single tenants may beyond or below them.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::read::route_row::limits_of_row;
use crate::row::Columns;
use crate::sql::{text, uuid};
use serde::Serialize;
use tenancy::{Limits, PlanName, TenantId};
use tokio_postgres::Row;

/// What a plan allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRecord {
    /// Its name.
    pub name: PlanName,
    /// Its limits.
    pub limits: Limits,
}

/// A tenant's own limits, each in place of its plan's when it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Entitlement {
    /// In place of [`Limits::pool_size`].
    pub pool_size: Option<u32>,
    /// In place of [`Limits::client_limit`].
    pub client_limit: Option<u32>,
    /// In place of [`Limits::queue_limit`].
    pub queue_limit: Option<u32>,
    /// In place of [`Limits::checkout_timeout_ms`].
    pub checkout_timeout_ms: Option<u32>,
    /// In place of [`Limits::floor`].
    pub floor: Option<u32>,
    /// In place of [`Limits::weight`].
    pub weight: Option<u32>,
    /// In place of [`Limits::requests_per_second`].
    pub requests_per_second: Option<u32>,
    /// In place of [`Limits::request_burst`].
    pub request_burst: Option<u32>,
    /// In place of [`Limits::statement_timeout_ms`].
    pub statement_timeout_ms: Option<u32>,
    /// In place of [`Limits::idle_in_transaction_timeout_ms`].
    pub idle_in_transaction_timeout_ms: Option<u32>,
    /// In place of [`Limits::work_mem_kb`].
    pub work_mem_kb: Option<u32>,
    /// In place of [`Limits::result_bytes_max`].
    pub result_bytes_max: Option<u64>,
    /// In place of [`Limits::body_bytes_max`].
    pub body_bytes_max: Option<u64>,
    /// In place of [`Limits::storage_soft_bytes`].
    pub storage_soft_bytes: Option<u64>,
    /// In place of [`Limits::storage_hard_bytes`].
    pub storage_hard_bytes: Option<u64>,
}

impl Entitlement {
    /// What is set here, in place of `limits`.
    #[must_use]
    pub fn over(&self, limits: Limits) -> Limits {
        Limits {
            pool_size: self.pool_size.unwrap_or(limits.pool_size),
            client_limit: self.client_limit.unwrap_or(limits.client_limit),
            queue_limit: self.queue_limit.unwrap_or(limits.queue_limit),
            checkout_timeout_ms: self.checkout_timeout_ms.unwrap_or(limits.checkout_timeout_ms),
            floor: self.floor.unwrap_or(limits.floor),
            weight: self.weight.unwrap_or(limits.weight),
            requests_per_second: self.requests_per_second.unwrap_or(limits.requests_per_second),
            request_burst: self.request_burst.unwrap_or(limits.request_burst),
            statement_timeout_ms: self.statement_timeout_ms.unwrap_or(limits.statement_timeout_ms),
            idle_in_transaction_timeout_ms: self
                .idle_in_transaction_timeout_ms
                .unwrap_or(limits.idle_in_transaction_timeout_ms),
            work_mem_kb: self.work_mem_kb.unwrap_or(limits.work_mem_kb),
            result_bytes_max: self.result_bytes_max.unwrap_or(limits.result_bytes_max),
            body_bytes_max: self.body_bytes_max.unwrap_or(limits.body_bytes_max),
            storage_soft_bytes: self.storage_soft_bytes.unwrap_or(limits.storage_soft_bytes),
            storage_hard_bytes: self.storage_hard_bytes.unwrap_or(limits.storage_hard_bytes),
        }
    }
}

impl From<Limits> for Entitlement {
    fn from(limits: Limits) -> Self {
        Self {
            pool_size: Some(limits.pool_size),
            client_limit: Some(limits.client_limit),
            queue_limit: Some(limits.queue_limit),
            checkout_timeout_ms: Some(limits.checkout_timeout_ms),
            floor: Some(limits.floor),
            weight: Some(limits.weight),
            requests_per_second: Some(limits.requests_per_second),
            request_burst: Some(limits.request_burst),
            statement_timeout_ms: Some(limits.statement_timeout_ms),
            idle_in_transaction_timeout_ms: Some(limits.idle_in_transaction_timeout_ms),
            work_mem_kb: Some(limits.work_mem_kb),
            result_bytes_max: Some(limits.result_bytes_max),
            body_bytes_max: Some(limits.body_bytes_max),
            storage_soft_bytes: Some(limits.storage_soft_bytes),
            storage_hard_bytes: Some(limits.storage_hard_bytes),
        }
    }
}

impl Catalog {
    /// All plans, by name. There are few.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn plans(&self) -> Result<Vec<PlanRecord>, CatalogError> {
        let rows = self.rows("select * from catalog.plans order by name", &[]).await?;
        rows.iter().map(plan_of_row).collect()
    }

    /// One plan.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn plan_get(&self, name: &PlanName) -> Result<Option<PlanRecord>, CatalogError> {
        let row = self.row("select * from catalog.plans where name = $1", &[text(name.as_str())]).await?;
        row.as_ref().map(plan_of_row).transpose()
    }

    /// A tenant's own limits; all unset when it has none.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn entitlement_get(&self, tenant: TenantId) -> Result<Entitlement, CatalogError> {
        let sql = "select * from catalog.entitlements where tenant_id = $1";
        let row = self.row(sql, &[uuid(tenant.as_uuid())]).await?;
        row.as_ref().map_or(Ok(Entitlement::default()), entitlement_of_row)
    }
}

pub(crate) fn entitlement_of_row(row: &Row) -> Result<Entitlement, CatalogError> {
    Ok(Entitlement {
        pool_size: row.number_opt("pool_size")?,
        client_limit: row.number_opt("client_limit")?,
        queue_limit: row.number_opt("queue_limit")?,
        checkout_timeout_ms: row.number_opt("checkout_timeout_ms")?,
        floor: row.number_opt("floor")?,
        weight: row.number_opt("weight")?,
        requests_per_second: row.number_opt("requests_per_second")?,
        request_burst: row.number_opt("request_burst")?,
        statement_timeout_ms: row.number_opt("statement_timeout_ms")?,
        idle_in_transaction_timeout_ms: row.number_opt("idle_in_transaction_timeout_ms")?,
        work_mem_kb: row.number_opt("work_mem_kb")?,
        result_bytes_max: row.number_opt("result_bytes_max")?,
        body_bytes_max: row.number_opt("body_bytes_max")?,
        storage_soft_bytes: row.number_opt("storage_soft_bytes")?,
        storage_hard_bytes: row.number_opt("storage_hard_bytes")?,
    })
}

pub(crate) fn plan_of_row(row: &Row) -> Result<PlanRecord, CatalogError> {
    Ok(PlanRecord { name: row.word("name")?, limits: limits_of_row(row)? })
}
