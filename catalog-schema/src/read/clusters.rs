//! Clusters.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::page::Page;
use crate::read::routes::{ClusterRecord, ClusterTls};
use crate::row::Columns;
use crate::sql::{bigint, text, texts, uuid};
use jiff::Timestamp;
use tenancy::{ClusterId, ClusterName, RegionName, Secret};
use tokio_postgres::Row;

/// A cluster with all that people and the placement want to know of it. No secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDetail {
    /// What a gateway knows of it.
    pub cluster: ClusterRecord,
    /// The user that the control plane logs in as.
    pub admin_user: String,
    /// The database that the control plane logs in to.
    pub admin_database: String,
    /// The server's `server_version_num`, such as 150014.
    pub server_version_num: u32,
    /// The most tenants that may be placed on it.
    pub capacity: u32,
    /// The tenants that are placed on it.
    pub placed: u32,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// The control plane's way into a cluster.
#[derive(Debug, Clone)]
pub struct ClusterAdmin {
    /// The server.
    pub cluster: ClusterRecord,
    /// The user to log in as.
    pub user: String,
    /// The database to log in to.
    pub database: String,
    /// The user's password, opened. Empty when the server asks for none.
    pub password: Secret,
}

/// The context under which a cluster's admin secret is sealed.
pub(crate) fn admin_context(cluster: ClusterId) -> String {
    format!("cluster-admin:{cluster}")
}

/// What [`cluster_of_row`] reads.
pub(crate) const CLUSTER_COLUMNS: &str =
    "c.id as cluster_id, c.name as cluster_name, c.region as cluster_region, c.host, c.port,
  c.system_identifier, c.connection_budget, c.state as cluster_state,
  c.tls_mode, c.tls_ca, c.tls_server_name, c.version as cluster_version";

/// The clusters that `condition` picks, as [`detail_of_row`] reads them.
pub(crate) fn cluster_where(condition: &str) -> String {
    format!(
        "select {CLUSTER_COLUMNS}, c.admin_user, c.admin_database, c.server_version_num, c.capacity,
           c.created_at, c.updated_at,
           (select count(*) from catalog.placements p where p.cluster_id = c.id) as placed
         from catalog.clusters c where {condition}"
    )
}

impl Catalog {
    /// Clusters by age, a page at a time.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn clusters(&self, page: &Page<ClusterId>) -> Result<Vec<ClusterDetail>, CatalogError> {
        let sql = cluster_where("$1::uuid is null or c.id > $1 order by c.id limit $2");
        let rows = self.rows(&sql, &[uuid(page.after.map(ClusterId::as_uuid)), bigint(page.limit())]).await?;
        rows.iter().map(detail_of_row).collect()
    }

    /// The clusters in any of `regions`, whatever their state: the placement says of each why it takes or passes it.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn clusters_in(&self, regions: &[RegionName]) -> Result<Vec<ClusterDetail>, CatalogError> {
        let regions: Vec<String> = regions.iter().map(ToString::to_string).collect();
        let sql = cluster_where("c.region = any($1) order by c.id");
        let rows = self.rows(&sql, &[texts(&regions)]).await?;
        rows.iter().map(detail_of_row).collect()
    }

    /// One cluster.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn cluster_get(&self, id: ClusterId) -> Result<Option<ClusterDetail>, CatalogError> {
        let row = self.row(&cluster_where("c.id = $1"), &[uuid(id.as_uuid())]).await?;
        row.as_ref().map(detail_of_row).transpose()
    }

    /// One cluster by its name.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn cluster_by_name(&self, name: &ClusterName) -> Result<Option<ClusterDetail>, CatalogError> {
        let row = self.row(&cluster_where("c.name = $1"), &[text(name.as_str())]).await?;
        row.as_ref().map(detail_of_row).transpose()
    }

    /// The control plane's way into a cluster.
    ///
    /// # Errors
    /// When the catalog is unavailable, or the secret cannot be opened.
    pub async fn cluster_admin(&self, id: ClusterId) -> Result<Option<ClusterAdmin>, CatalogError> {
        let sql = format!(
            "select {CLUSTER_COLUMNS}, c.admin_user, c.admin_database, c.admin_secret
             from catalog.clusters c where c.id = $1"
        );
        let row = self.row(&sql, &[uuid(id.as_uuid())]).await?;
        row.map(|row| {
            let sealed: Vec<u8> = row.value("admin_secret")?;
            Ok(ClusterAdmin {
                cluster: cluster_of_row(&row)?,
                user: row.value("admin_user")?,
                database: row.value("admin_database")?,
                password: self.key().open(&admin_context(id), &sealed)?,
            })
        })
        .transpose()
    }
}

pub(crate) fn cluster_of_row(row: &Row) -> Result<ClusterRecord, CatalogError> {
    Ok(ClusterRecord {
        id: row.id("cluster_id")?,
        name: row.word("cluster_name")?,
        region: row.word("cluster_region")?,
        host: row.value("host")?,
        port: row.number("port")?,
        system_identifier: row.value("system_identifier")?,
        connection_budget: row.number("connection_budget")?,
        state: row.word("cluster_state")?,
        tls: ClusterTls {
            mode: row.word("tls_mode")?,
            ca: row.value("tls_ca")?,
            server_name: row.value("tls_server_name")?,
        },
        version: row.value("cluster_version")?,
    })
}

pub(crate) fn detail_of_row(row: &Row) -> Result<ClusterDetail, CatalogError> {
    Ok(ClusterDetail {
        cluster: cluster_of_row(row)?,
        admin_user: row.value("admin_user")?,
        admin_database: row.value("admin_database")?,
        server_version_num: row.number("server_version_num")?,
        capacity: row.number("capacity")?,
        placed: row.number("placed")?,
        created_at: row.value("created_at")?,
        updated_at: row.value("updated_at")?,
    })
}
