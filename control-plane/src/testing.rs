//! A real PostgreSQL server for the tests of this crate, and a fresh catalog on it for each.
//!
//! One server serves as everybody's catalog and as everybody's cluster: names on it are random, so tests do not
//! meet. It dies with the process (the launcher's watchdog sees to that).

use crate::context::EngineState;
use crate::metrics::Metrics;
use crate::postgres::role_session::RoleSession;
use crate::postgres::{Clusters, Endpoint};
use catalog_schema::{Catalog, ClusterTls, Context, MasterKey, NewCluster, RoleLogin, migrate};
use launcher::{Binaries, Scratch, Server, ServerOptions};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tenancy::{Access, ClusterId, Secret, TenantId, TlsMode};
use tokio::sync::OnceCell;
use uuid::Uuid;

/// Beyond this a condition that a test waits for will not come.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

static SHARED: OnceCell<(Scratch, Server)> = OnceCell::const_new();

/// The server that all tests share.
pub(crate) async fn shared_server() -> &'static Server {
    let (_, server) = SHARED
        .get_or_init(|| async {
            let scratch = Scratch::create().unwrap();
            let server = start_server(&scratch, "shared").await;
            (scratch, server)
        })
        .await;
    server
}

/// A server of the test's own.
pub(crate) async fn start_server(scratch: &Scratch, name: &str) -> Server {
    let binaries = Binaries::find(None, None).await.expect("PostgreSQL is installed");
    let options = ServerOptions::throwaway(binaries, &scratch.path().join(name))
        .setting("max_connections", "300")
        .setting("max_prepared_transactions", "10");
    Server::start(options).await.unwrap()
}

/// Who tests act as.
pub(crate) fn somebody() -> Context {
    Context { actor: "test".to_owned(), request_id: "test".to_owned() }
}

/// A migrated catalog of its own on `server`.
pub(crate) async fn fresh_catalog_dsn(server: &Server) -> Secret {
    let name = format!("catalog_{}", Uuid::new_v4().simple());
    let admin = server.connect("postgres").await.unwrap();
    admin.batch_execute(&format!("create database {name} template template0")).await.unwrap();
    let dsn = server.dsn(&name);
    migrate(&dsn).await.unwrap();
    dsn
}

/// A catalog with region `eu` and cluster `eu-1`, which is the shared server.
pub(crate) struct World {
    pub(crate) catalog: Catalog,
    catalog_dsn: Secret,
    pub(crate) engine: EngineState,
    pub(crate) admin: tokio_postgres::Client,
}

impl World {
    pub(crate) async fn new() -> Self {
        let server = shared_server().await;
        let dsn = fresh_catalog_dsn(server).await;
        let catalog = Catalog::connect(&dsn, MasterKey::generate().unwrap(), 4).await.unwrap();
        let admin = server.connect("postgres").await.unwrap();
        register(&catalog, server, &admin).await;
        let engine = EngineState {
            catalog: catalog.clone(),
            clusters: Arc::new(Clusters::default()),
            metrics: Arc::new(Metrics::new().unwrap()),
        };
        Self { catalog, catalog_dsn: dsn, engine, admin }
    }

    /// A session in a tenant's database as its role, by the keys that the catalog knows.
    pub(crate) async fn log_in(&self, tenant: TenantId) -> RoleSession {
        self.try_log_in(tenant).await.expect("the tenant's role may log in")
    }

    /// The same, if the server lets it in.
    pub(crate) async fn try_log_in(&self, tenant: TenantId) -> Option<RoleSession> {
        self.try_log_in_as(tenant, Access::Owner).await
    }

    /// A session as one of the tenant's roles.
    pub(crate) async fn log_in_as(&self, tenant: TenantId, access: Access) -> RoleSession {
        self.try_log_in_as(tenant, access).await.expect("the tenant's role may log in")
    }

    /// The same, if the server lets it in.
    pub(crate) async fn try_log_in_as(&self, tenant: TenantId, access: Access) -> Option<RoleSession> {
        let placement = self.catalog.placement_get(tenant).await.unwrap().unwrap();
        let admin = self.catalog.cluster_admin(placement.cluster).await.unwrap().unwrap();
        let beside = placement.access_roles.into_iter().find(|role| role.access == access);
        let login = match (access, beside) {
            (Access::Owner, _) => {
                RoleLogin { role: placement.role, keys: placement.keys.expect("the role has keys") }
            }
            (Access::Write | Access::Read, beside) => beside.expect("there is a role for this").login,
        };
        RoleSession::open(&Endpoint::from(admin), &placement.database, &login.role, &login.keys).await.ok()
    }

    /// Leaves the tenant as an older release did, whose roles had passwords.
    pub(crate) async fn forget_keys(&self, tenant: TenantId) {
        let sql = format!("update catalog.placements set keys = null where tenant_id = '{tenant}'");
        self.catalog_session().await.batch_execute(&sql).await.unwrap();
    }

    /// Leaves the tenant as an older release did, which knew no roles beside the owner's.
    pub(crate) async fn forget_access_roles(&self, tenant: TenantId) {
        let placement = self.catalog.placement_get(tenant).await.unwrap().unwrap();
        let inside = shared_server().await.connect(placement.database.as_str()).await.unwrap();
        for role in placement.access_roles {
            let name = role.login.role;
            inside.batch_execute(&format!("drop owned by {name}; drop role {name}")).await.unwrap();
        }
        let sql = format!(
            "set session_replication_role = replica;
             delete from catalog.physical_names n using catalog.placement_roles r
               where r.tenant_id = '{tenant}' and n.name = r.role_name;
             delete from catalog.placement_roles where tenant_id = '{tenant}'"
        );
        self.catalog_session().await.batch_execute(&sql).await.unwrap();
    }

    /// Says of the tenant that its database is on a cluster of its own, at this port.
    pub(crate) async fn move_to_port(&self, tenant: TenantId, port: u16) -> ClusterId {
        let placement = self.catalog.placement_get(tenant).await.unwrap().unwrap();
        let from = self.catalog.cluster_admin(placement.cluster).await.unwrap().unwrap();
        let mut tx = self.catalog.begin(&somebody()).await.unwrap();
        let cluster =
            NewCluster { name: "eu-2".parse().unwrap(), port, ..cluster(&from.password, "1".to_owned()) };
        tx.cluster_create(&cluster).await.unwrap();
        tx.commit().await.unwrap();
        let sql = format!(
            "set session_replication_role = replica;
             update catalog.placements set cluster_id = '{0}' where tenant_id = '{tenant}';
             update catalog.storage_use set cluster_id = '{0}' where tenant_id = '{tenant}'",
            cluster.id
        );
        self.catalog_session().await.batch_execute(&sql).await.unwrap();
        cluster.id
    }

    async fn catalog_session(&self) -> tokio_postgres::Client {
        let config: tokio_postgres::Config = self.catalog_dsn.expose().parse().unwrap();
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// Does the cluster have a database, or a role, of this name?
    pub(crate) async fn cluster_has(&self, name: &str) -> bool {
        let sql = "select exists (select from pg_database where datname = $1)
                       or exists (select from pg_roles where rolname = $1)";
        self.admin.query_one(sql, &[&name]).await.unwrap().get(0)
    }
}

async fn register(catalog: &Catalog, server: &Server, admin: &tokio_postgres::Client) {
    let row = admin.query_one("select system_identifier::text from pg_control_system()", &[]).await.unwrap();
    let mut tx = catalog.begin(&somebody()).await.unwrap();
    tx.region_create(&"eu".parse().unwrap(), "EU").await.unwrap();
    let cluster = NewCluster { port: server.port(), ..cluster(server.password(), row.get(0)) };
    tx.cluster_create(&cluster).await.unwrap();
    tx.commit().await.unwrap();
}

fn cluster(password: &Secret, system_identifier: String) -> NewCluster {
    NewCluster {
        id: ClusterId::generate(),
        name: "eu-1".parse().unwrap(),
        region: "eu".parse().unwrap(),
        host: "127.0.0.1".to_owned(),
        port: 5432,
        admin_user: launcher::ADMIN_USER.to_owned(),
        admin_database: "postgres".to_owned(),
        admin_password: password.clone(),
        system_identifier,
        server_version_num: 150_000,
        connection_budget: 20,
        capacity: 1_000,
        tls: ClusterTls { mode: TlsMode::Disable, ..ClusterTls::default() },
    }
}

/// Polls until `look` finds something.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < DEADLINE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
