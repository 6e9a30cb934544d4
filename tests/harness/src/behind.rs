//! What lies behind the gateway: the catalog's rows and the clusters' databases, as an administrator sees them.

use crate::stack::Stack;
use crate::tenant::{Tenant, connect};
use std::net::{Ipv4Addr, SocketAddr};
use tokio_postgres::{Client, Config};

/// Where a tenant's data really is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Physical {
    /// The cluster's name.
    pub cluster: String,
    /// The database on it.
    pub database: String,
    /// The role that owns it.
    pub role: String,
}

impl Stack {
    /// An administrator's session with the catalog.
    ///
    /// # Panics
    /// When it cannot be had.
    pub async fn catalog_admin(&self) -> Client {
        admin(&self.descriptor().catalog_dsn, None).await
    }

    /// An administrator's session with one of a cluster's databases.
    ///
    /// # Panics
    /// When there is no such cluster, or it does not answer.
    pub async fn cluster_admin(&self, cluster: &str, database: &str) -> Client {
        let known = self.descriptor().clusters.iter().find(|known| known.name == cluster);
        let known = known.unwrap_or_else(|| panic!("there is no cluster {cluster}"));
        admin(&known.admin_dsn, Some(database)).await
    }

    /// Where a cluster listens.
    ///
    /// # Panics
    /// When there is no such cluster.
    #[must_use]
    pub fn cluster_address(&self, cluster: &str) -> SocketAddr {
        let known = self.descriptor().clusters.iter().find(|known| known.name == cluster);
        let known = known.unwrap_or_else(|| panic!("there is no cluster {cluster}"));
        let config: Config = known.admin_dsn.parse().expect("a good connection string");
        SocketAddr::from((Ipv4Addr::LOCALHOST, config.get_ports()[0]))
    }

    /// Tells the catalog that a cluster listens somewhere else. The gateway learns of it as of any change.
    ///
    /// # Panics
    /// When the catalog refuses.
    pub async fn readdress_cluster(&self, cluster: &str, address: SocketAddr) {
        let set = "update catalog.clusters set port = $1 where name = $2";
        let port = i32::from(address.port());
        let changed = self.catalog_admin().await.execute(set, &[&port, &cluster]).await;
        assert_eq!(changed.expect("an administrator may"), 1, "there is no cluster {cluster}");
    }

    /// Where the catalog says that a tenant's data is.
    ///
    /// # Panics
    /// When it is nowhere.
    pub async fn physical(&self, tenant: &Tenant) -> Physical {
        let query = "select c.name, p.database_name, p.role_name
            from catalog.placements p join catalog.clusters c on c.id = p.cluster_id
            where p.tenant_id = $1::text::uuid";
        let row = self.catalog_admin().await.query_one(query, &[&tenant.id]).await;
        let row = row.expect("the tenant has a place");
        Physical { cluster: row.get(0), database: row.get(1), role: row.get(2) }
    }

    /// An administrator's session inside a tenant's database.
    ///
    /// # Panics
    /// When it cannot be had.
    pub async fn inside(&self, tenant: &Tenant) -> Client {
        let physical = self.physical(tenant).await;
        self.cluster_admin(&physical.cluster, &physical.database).await
    }

    /// Ends all of a tenant's server sessions, and returns how many there were.
    ///
    /// # Panics
    /// When the cluster refuses.
    pub async fn end_sessions(&self, tenant: &Tenant) -> i64 {
        let physical = self.physical(tenant).await;
        let admin = self.cluster_admin(&physical.cluster, "postgres").await;
        // With a time-out it waits until the process has ended and its socket with it.
        let query =
            "select count(pg_terminate_backend(pid, 60000)) from pg_stat_activity where usename = any($1)";
        admin
            .query_one(query, &[&self.roles(tenant).await.as_slice()])
            .await
            .expect("an administrator may")
            .get(0)
    }

    /// The server sessions that a tenant's roles have now.
    ///
    /// # Panics
    /// When the cluster does not answer.
    pub async fn sessions(&self, tenant: &Tenant) -> i64 {
        let physical = self.physical(tenant).await;
        let admin = self.cluster_admin(&physical.cluster, "postgres").await;
        let query = "select count(*) from pg_stat_activity where usename = any($1)";
        admin
            .query_one(query, &[&self.roles(tenant).await.as_slice()])
            .await
            .expect("an administrator may look")
            .get(0)
    }

    /// The roles that a tenant's server connections are logged in as: the owner's, the writing one, the reading one.
    ///
    /// # Panics
    /// When it has not all of them.
    pub async fn roles(&self, tenant: &Tenant) -> [String; 3] {
        let query = "select p.role_name, w.role_name, r.role_name from catalog.placements p
            join catalog.placement_roles w on w.tenant_id = p.tenant_id and w.access = 'write'
            join catalog.placement_roles r on r.tenant_id = p.tenant_id and r.access = 'read'
            where p.tenant_id = $1::text::uuid";
        let row = self.catalog_admin().await.query_one(query, &[&tenant.id]).await;
        let row = row.expect("the tenant has its roles");
        [row.get(0), row.get(1), row.get(2)]
    }
}

async fn admin(dsn: &str, database: Option<&str>) -> Client {
    let mut config: Config = dsn.parse().expect("a good connection string");
    if let Some(database) = database {
        config.dbname(database);
    }
    connect(&config).await.expect("the server lets its administrator in")
}
