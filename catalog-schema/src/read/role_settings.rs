//! What tenants' plans say of their login roles in PostgreSQL, and whose roles do not have it yet.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::page::Page;
use crate::row::Columns;
use crate::sql::{bigint, uuid};
use tenancy::{ClusterId, Limits, TenantId};
use tokio_postgres::Row;

/// What a login role's sessions begin with. 0: what the server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoleSettings {
    /// PostgreSQL's `statement_timeout`, milliseconds.
    pub statement_timeout_ms: u32,
    /// PostgreSQL's `idle_in_transaction_session_timeout`, milliseconds.
    pub idle_in_transaction_timeout_ms: u32,
    /// PostgreSQL's `work_mem`, kilobytes.
    pub work_mem_kb: u32,
}

impl From<&Limits> for RoleSettings {
    fn from(limits: &Limits) -> Self {
        Self {
            statement_timeout_ms: limits.statement_timeout_ms,
            idle_in_transaction_timeout_ms: limits.idle_in_transaction_timeout_ms,
            work_mem_kb: limits.work_mem_kb,
        }
    }
}

/// What is in force for the tenant that the query's `t` is; its plan is `l`, its own limits are `e`.
const WANTED: &str = "coalesce(e.statement_timeout_ms, l.statement_timeout_ms) as statement_timeout_ms,
  coalesce(e.idle_in_transaction_timeout_ms, l.idle_in_transaction_timeout_ms) as idle_in_transaction_timeout_ms,
  coalesce(e.work_mem_kb, l.work_mem_kb) as work_mem_kb";

/// Active tenants of which something else is on record.
const BEHIND: &str = "select t.id as tenant_id, p.cluster_id
     from catalog.tenants t join catalog.placements p on p.tenant_id = t.id
     join catalog.plans l on l.name = t.plan
     left join catalog.entitlements e on e.tenant_id = t.id
     left join catalog.role_settings s on s.tenant_id = t.id
     where t.state = 'active' and p.keys is not null
       and (coalesce(e.statement_timeout_ms, l.statement_timeout_ms),
         coalesce(e.idle_in_transaction_timeout_ms, l.idle_in_transaction_timeout_ms),
         coalesce(e.work_mem_kb, l.work_mem_kb))
       is distinct from (coalesce(s.statement_timeout_ms, 0),
         coalesce(s.idle_in_transaction_timeout_ms, 0), coalesce(s.work_mem_kb, 0))";

impl Catalog {
    /// What a tenant's login roles should have.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn role_settings_wanted(&self, tenant: TenantId) -> Result<RoleSettings, CatalogError> {
        let sql = format!(
            "select {WANTED} from catalog.tenants t join catalog.plans l on l.name = t.plan
             left join catalog.entitlements e on e.tenant_id = t.id where t.id = $1"
        );
        let row = self.row(&sql, &[uuid(tenant.as_uuid())]).await?;
        row.as_ref().map_or(Ok(RoleSettings::default()), settings_of_row)
    }

    /// Clusters of active tenants whose roles were given something else than they should have. Looks at every tenant.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn role_settings_behind(&self) -> Result<Vec<ClusterId>, CatalogError> {
        let sql = format!("select distinct w.cluster_id from ({BEHIND}) w order by w.cluster_id");
        self.rows(&sql, &[]).await?.iter().map(|row| row.id("cluster_id")).collect()
    }

    /// Those tenants of one cluster, a page at a time.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn role_settings_behind_on(
        &self,
        cluster: ClusterId,
        page: &Page<TenantId>,
    ) -> Result<Vec<TenantId>, CatalogError> {
        let sql = format!(
            "select w.tenant_id from ({BEHIND}) w
             where w.cluster_id = $1 and ($2::uuid is null or w.tenant_id > $2) order by w.tenant_id limit $3"
        );
        let args = [uuid(cluster.as_uuid()), uuid(page.after.map(TenantId::as_uuid)), bigint(page.limit())];
        self.rows(&sql, &args).await?.iter().map(|row| row.id("tenant_id")).collect()
    }

    /// What was last put on a tenant's login roles.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn role_settings_applied(&self, tenant: TenantId) -> Result<RoleSettings, CatalogError> {
        let sql = "select * from catalog.role_settings where tenant_id = $1";
        let row = self.row(sql, &[uuid(tenant.as_uuid())]).await?;
        row.as_ref().map_or(Ok(RoleSettings::default()), settings_of_row)
    }
}

pub(crate) fn settings_of_row(row: &Row) -> Result<RoleSettings, CatalogError> {
    Ok(RoleSettings {
        statement_timeout_ms: row.number("statement_timeout_ms")?,
        idle_in_transaction_timeout_ms: row.number("idle_in_transaction_timeout_ms")?,
        work_mem_kb: row.number("work_mem_kb")?,
    })
}
