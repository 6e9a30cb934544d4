//! Tenants, as the control plane sees them: the dead ones too, when asked for.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::page::Page;
use crate::read::route_row::TENANT_OF_SLUG;
use crate::row::Columns;
use crate::sql::{bigint, boolean, text, uuid, uuids};
use jiff::Timestamp;
use tenancy::{ClusterName, Generation, Isolation, PlanName, RegionName, Slug, TenantId, TenantState};
use tokio_postgres::Row;
use uuid::Uuid;

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRecord {
    /// Who.
    pub id: TenantId,
    /// The name in addresses. Another tenant may have it once this one is deleted.
    pub slug: Slug,
    /// The name for people. Empty once it is deleted.
    pub display_name: String,
    /// Where it is at home.
    pub region: RegionName,
    /// Where its data and its connections may be; its home is always one.
    pub allowed_regions: Vec<RegionName>,
    /// What it bought.
    pub plan: PlanName,
    /// How it is kept apart from the others.
    pub isolation: Isolation,
    /// Where it stands in its life.
    pub state: TenantState,
    /// Rises with every change of its route.
    pub generation: Generation,
    /// Rises with every change; for `If-Match`.
    pub version: i64,
    /// The cluster that it is placed on.
    pub cluster: Option<ClusterName>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// When it was deleted for good.
    pub deleted_at: Option<Timestamp>,
}

/// Which tenants are wanted: those that fit all that is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TenantFilter {
    /// In this state.
    pub state: Option<TenantState>,
    /// At home in this region.
    pub region: Option<RegionName>,
    /// Placed on this cluster.
    pub cluster: Option<ClusterName>,
    /// Deleted ones too. Asking for the state `deleted` finds them without this.
    pub with_deleted: bool,
    /// Among these; any if not set.
    pub among: Option<Vec<TenantId>>,
}

pub(crate) const TENANT: &str = "
select t.*, c.name as cluster_name from catalog.tenants t
left join catalog.placements p on p.tenant_id = t.id
left join catalog.clusters c on c.id = p.cluster_id";

impl Catalog {
    /// One tenant, deleted or not.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn tenant_get(&self, id: TenantId) -> Result<Option<TenantRecord>, CatalogError> {
        let row = self.row(&format!("{TENANT} where t.id = $1"), &[uuid(id.as_uuid())]).await?;
        row.as_ref().map(tenant_of_row).transpose()
    }

    /// The living tenant that is reached under `slug`: its name, or one that it had until lately.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn tenant_by_slug(&self, slug: &Slug) -> Result<Option<TenantRecord>, CatalogError> {
        let sql = format!("{TENANT} where t.state <> 'deleted' and t.id = {TENANT_OF_SLUG}");
        let row = self.row(&sql, &[text(slug.as_str())]).await?;
        row.as_ref().map(tenant_of_row).transpose()
    }

    /// Tenants by age, a page at a time.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn tenants(
        &self,
        filter: &TenantFilter,
        page: &Page<TenantId>,
    ) -> Result<Vec<TenantRecord>, CatalogError> {
        let sql = format!(
            "{TENANT} where ($1::uuid is null or t.id > $1)
               and ($2::text is null or t.state = $2)
               and ($3::text is null or t.region = $3)
               and ($4::text is null or c.name = $4)
               and (t.state <> 'deleted' or $5 or $2 = 'deleted')
               and ($6::uuid[] is null or t.id = any($6))
             order by t.id limit $7"
        );
        let args = [
            uuid(page.after.map(TenantId::as_uuid)),
            text(filter.state.map(TenantState::as_str)),
            text(filter.region.as_ref().map(RegionName::as_str)),
            text(filter.cluster.as_ref().map(ClusterName::as_str)),
            boolean(filter.with_deleted),
            uuids(filter.among.as_deref().map(ids)),
            bigint(page.limit()),
        ];
        self.rows(&sql, &args).await?.iter().map(tenant_of_row).collect()
    }
}

/// Ids as a statement takes them.
pub(crate) fn ids(tenants: &[TenantId]) -> Vec<Uuid> {
    tenants.iter().map(|tenant| tenant.as_uuid()).collect()
}

pub(crate) fn tenant_of_row(row: &Row) -> Result<TenantRecord, CatalogError> {
    Ok(TenantRecord {
        id: row.id("id")?,
        slug: row.word("slug")?,
        display_name: row.value("display_name")?,
        region: row.word("region")?,
        allowed_regions: row.words("allowed_regions")?,
        plan: row.word("plan")?,
        isolation: row.word("isolation")?,
        state: row.word("state")?,
        generation: Generation::new(row.value("generation")?),
        version: row.value("version")?,
        cluster: row.word_opt("cluster_name")?,
        created_at: row.value("created_at")?,
        updated_at: row.value("updated_at")?,
        deleted_at: row.value("deleted_at")?,
    })
}
