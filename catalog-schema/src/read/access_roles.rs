//! The login roles beside the owner's, as the control plane sees them: ready or not.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::page::Page;
use crate::read::logins::{RoleLogin, open_keys};
use crate::read::role_settings::{RoleSettings, settings_of_row};
use crate::row::Columns;
use crate::sql::{bigint, uuid};
use tenancy::{Access, ClusterId, DatabaseName, RoleName, TenantId};
use tokio_postgres::Row;

/// A tenant's login role for an access other than the owner's.
#[derive(Debug, Clone)]
pub struct AccessRole {
    /// What it lets a session do.
    pub access: Access,
    /// The physical role and what logs in as it.
    pub login: RoleLogin,
    /// It was made, granted what its access stands for, and logged in as.
    pub is_ready: bool,
}

/// Such a role, and where it is.
#[derive(Debug, Clone)]
pub struct PlacedRole {
    /// Whose.
    pub tenant: TenantId,
    /// In which database it may do what its access stands for.
    pub database: DatabaseName,
    /// The role.
    pub role: AccessRole,
    /// The role that owns the database.
    pub owner: RoleName,
    /// What was put on both.
    pub settings: RoleSettings,
}

impl Catalog {
    /// Active tenants that lack a role, and their clusters, a page at a time.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn placements_lacking_roles(
        &self,
        page: &Page<TenantId>,
    ) -> Result<Vec<(TenantId, ClusterId)>, CatalogError> {
        let sql = "select p.tenant_id, p.cluster_id from catalog.placements p join catalog.tenants t on t.id = p.tenant_id
                   where t.state = 'active' and p.keys is not null
                     and ($1::uuid is null or p.tenant_id > $1)
                     and (select count(*) from catalog.placement_roles r
                          where r.tenant_id = p.tenant_id and r.is_ready) < $2
                   order by p.tenant_id limit $3";
        let expected = i64::try_from(Access::GRANTED.len()).unwrap_or(i64::MAX);
        let after = uuid(page.after.map(TenantId::as_uuid));
        let rows = self.rows(sql, &[after, bigint(expected), bigint(page.limit())]).await?;
        rows.iter().map(|row| Ok((row.id("tenant_id")?, row.id("cluster_id")?))).collect()
    }

    /// The roles that active tenants have on a cluster, a page of tenants at a time.
    ///
    /// # Errors
    /// When the catalog is unavailable, or keys cannot be opened.
    pub async fn access_roles_on(
        &self,
        cluster: ClusterId,
        page: &Page<TenantId>,
    ) -> Result<Vec<PlacedRole>, CatalogError> {
        let sql = "with placed as (
                     select p.tenant_id, p.database_name, p.role_name as owner from catalog.placements p
                     join catalog.tenants t on t.id = p.tenant_id
                     where p.cluster_id = $1 and t.state = 'active' and ($2::uuid is null or p.tenant_id > $2)
                     order by p.tenant_id limit $3)
                   select placed.database_name, placed.owner, r.*,
                     coalesce(s.statement_timeout_ms, 0) as statement_timeout_ms,
                     coalesce(s.idle_in_transaction_timeout_ms, 0) as idle_in_transaction_timeout_ms,
                     coalesce(s.work_mem_kb, 0) as work_mem_kb
                   from placed join catalog.placement_roles r using (tenant_id)
                   left join catalog.role_settings s using (tenant_id)
                   where r.is_ready order by r.tenant_id, r.access";
        let after = uuid(page.after.map(TenantId::as_uuid));
        let rows = self.rows(sql, &[uuid(cluster.as_uuid()), after, bigint(page.limit())]).await?;
        let placed = |row: &Row| {
            let tenant = row.id("tenant_id")?;
            let role = self.role_of_row(tenant, row)?;
            Ok(PlacedRole {
                tenant,
                database: row.word("database_name")?,
                role,
                owner: row.word("owner")?,
                settings: settings_of_row(row)?,
            })
        };
        rows.iter().map(placed).collect()
    }

    /// The roles of a tenant beside the owner's.
    pub(crate) async fn access_roles_of(&self, tenant: TenantId) -> Result<Vec<AccessRole>, CatalogError> {
        let sql = "select * from catalog.placement_roles where tenant_id = $1 order by access";
        let rows = self.rows(sql, &[uuid(tenant.as_uuid())]).await?;
        rows.iter().map(|row| self.role_of_row(tenant, row)).collect()
    }

    fn role_of_row(&self, tenant: TenantId, row: &Row) -> Result<AccessRole, CatalogError> {
        let access = row.word("access")?;
        let keys = open_keys(self.key(), tenant, access, &row.value::<Vec<u8>>("keys")?)?;
        let login = RoleLogin { role: row.word("role_name")?, keys };
        Ok(AccessRole { access, login, is_ready: row.value("is_ready")? })
    }
}
