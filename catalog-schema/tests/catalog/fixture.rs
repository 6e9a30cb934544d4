//! A catalog of one's own on the shared server, and the things that most tests need in it.

use catalog_schema::{
    Catalog, ClusterDetail, ClusterTls, Context, CredentialKind, MasterKey, NewCluster, NewCredential,
    NewOperation, NewPlacement, NewTenant, TenantRecord, Tx, migrate,
};
use launcher::{Binaries, Scratch, Server, ServerOptions};
use pgwire::scram::ClientKeys;
use serde_json::json;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tenancy::{
    ClusterId, CredentialId, Isolation, KeyScope, OperationId, RegionName, Role, Secret, Slug, TenantId,
    TenantState, TlsMode,
};
use tokio::sync::Mutex;
use tokio_postgres::{Client, NoTls};

/// No test waits longer than this for anything.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) const CLUSTER_PASSWORD: &str = "cluster-admin-secret";
pub(crate) const ROLE_PASSWORD: &str = "role-secret";
/// A verifier as PostgreSQL writes it; the catalog does not look into it.
pub(crate) const VERIFIER: &str = "SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy";

/// The server that tests share. It lives for as long as one of them uses it.
struct Shared {
    server: Server,
    _scratch: Scratch,
}

static SHARED: Mutex<Weak<Shared>> = Mutex::const_new(Weak::new());
static DATABASES: AtomicU32 = AtomicU32::new(0);

pub(crate) async fn start_server(scratch: &Scratch) -> Server {
    let binaries =
        Binaries::find(None, None).await.expect("PostgreSQL is installed: scripts/install-postgres");
    let options = ServerOptions::throwaway(binaries, &scratch.path().join("catalog"));
    Server::start(options.setting("max_connections", "300")).await.unwrap()
}

async fn shared() -> Arc<Shared> {
    let mut shared = SHARED.lock().await;
    if let Some(running) = shared.upgrade() {
        return running;
    }
    let scratch = Scratch::create().unwrap();
    let started = Arc::new(Shared { server: start_server(&scratch).await, _scratch: scratch });
    *shared = Arc::downgrade(&started);
    started
}

pub(crate) struct Fixture {
    pub(crate) catalog: Catalog,
    pub(crate) dsn: Secret,
    _shared: Arc<Shared>,
}

impl Fixture {
    /// A database with nothing in it.
    pub(crate) async fn empty() -> Self {
        let shared = shared().await;
        let name = format!("catalog_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let admin = shared.server.connect("postgres").await.unwrap();
        admin.batch_execute(&format!("create database {name}")).await.unwrap();
        let dsn = shared.server.dsn(&name);
        let catalog = Catalog::connect(&dsn, MasterKey::generate().unwrap(), 8).await.unwrap();
        Self { catalog, dsn, _shared: shared }
    }

    /// A migrated catalog.
    pub(crate) async fn migrated() -> Self {
        let fixture = Self::empty().await;
        migrate(&fixture.dsn).await.unwrap();
        fixture
    }

    /// A catalog with regions `eu` and `us` and a cluster in each.
    pub(crate) async fn new() -> Self {
        let fixture = Self::migrated().await;
        for region in ["eu", "us"] {
            let mut tx = fixture.tx().await;
            tx.region_create(&name(region), "test").await.unwrap();
            tx.cluster_create(&cluster(&format!("{region}-1"), region)).await.unwrap();
            tx.commit().await.unwrap();
        }
        fixture
    }

    /// A connection beside the typed interface.
    pub(crate) async fn raw(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(self.dsn.expose(), NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    pub(crate) async fn tx(&self) -> Tx {
        self.catalog.begin(&context()).await.unwrap()
    }

    pub(crate) async fn cluster(&self, cluster: &str) -> ClusterDetail {
        self.catalog.cluster_by_name(&cluster.parse().unwrap()).await.unwrap().unwrap()
    }

    /// A tenant at home in `eu`, being provisioned.
    pub(crate) async fn tenant(&self, slug: &str) -> TenantId {
        let new = tenant(slug);
        let mut tx = self.tx().await;
        tx.tenant_create(&new).await.unwrap();
        tx.commit().await.unwrap();
        new.id
    }

    /// A tenant placed on `eu-1`, with both oids on record, active.
    pub(crate) async fn active_tenant(&self, slug: &str) -> TenantId {
        let id = self.tenant(slug).await;
        let place = placement(id, self.cluster("eu-1").await.cluster.id);
        let mut tx = self.tx().await;
        tx.placement_create(&place).await.unwrap();
        tx.role_created(id, 4_000_000_001).await.unwrap();
        tx.database_created(id, 4_000_000_002).await.unwrap();
        tx.tenant_set_state(id, TenantState::Active).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    pub(crate) async fn read(&self, id: TenantId) -> TenantRecord {
        self.catalog.tenant_get(id).await.unwrap().unwrap()
    }

    pub(crate) async fn enqueue(&self, tenant: Option<TenantId>) -> OperationId {
        let new = operation(tenant);
        let mut tx = self.tx().await;
        tx.operation_enqueue(&new).await.unwrap();
        tx.commit().await.unwrap();
        new.id
    }
}

pub(crate) fn context() -> Context {
    Context { actor: "operator".to_owned(), request_id: "request-1".to_owned() }
}

pub(crate) fn name(region: &str) -> RegionName {
    region.parse().unwrap()
}

pub(crate) fn slug(slug: &str) -> Slug {
    slug.parse().unwrap()
}

pub(crate) fn cluster(cluster: &str, region: &str) -> NewCluster {
    NewCluster {
        id: ClusterId::generate(),
        name: cluster.parse().unwrap(),
        region: name(region),
        host: "127.0.0.1".to_owned(),
        port: 5432,
        admin_user: "postgres".to_owned(),
        admin_database: "postgres".to_owned(),
        admin_password: Secret::new(CLUSTER_PASSWORD.to_owned()),
        system_identifier: format!(
            "7000000000000000{}",
            cluster.len() * 1000 + usize::from(cluster.as_bytes()[0])
        ),
        server_version_num: 150_004,
        connection_budget: 20,
        capacity: 100,
        tls: ClusterTls { mode: TlsMode::Disable, ..ClusterTls::default() },
    }
}

pub(crate) fn tenant(slug: &str) -> NewTenant {
    NewTenant {
        id: TenantId::generate(),
        slug: slug.parse().unwrap(),
        display_name: format!("The {slug} company"),
        region: name("eu"),
        allowed_regions: vec![name("eu")],
        plan: "free".parse().unwrap(),
        isolation: Isolation::Database,
    }
}

pub(crate) fn placement(tenant: TenantId, cluster: ClusterId) -> NewPlacement {
    let physical = format!("t_{}", CredentialId::generate().as_uuid().simple());
    NewPlacement {
        tenant,
        cluster,
        database: physical.parse().unwrap(),
        role: physical.parse().unwrap(),
        keys: role_keys(),
    }
}

/// What logs in as the role of every placement here.
pub(crate) fn role_keys() -> ClientKeys {
    ClientKeys::derive(&Secret::new(ROLE_PASSWORD.to_owned()), b"salt of the role", 4096).unwrap()
}

pub(crate) fn password(tenant: TenantId, user: &str) -> NewCredential {
    let kind = CredentialKind::Password { user: user.parse().unwrap(), verifier: VERIFIER.to_owned() };
    NewCredential {
        id: CredentialId::generate(),
        tenant,
        role: Role::Owner,
        expires_at: None,
        pool_mode: None,
        kind,
    }
}

pub(crate) fn api_key(tenant: TenantId, hash: [u8; 32]) -> NewCredential {
    let kind = CredentialKind::ApiKey { prefix: "tnt_12345678".to_owned(), hash, scope: KeyScope::Data };
    NewCredential {
        id: CredentialId::generate(),
        tenant,
        role: Role::Owner,
        expires_at: None,
        pool_mode: None,
        kind,
    }
}

pub(crate) fn operation(tenant: Option<TenantId>) -> NewOperation {
    NewOperation {
        id: OperationId::generate(),
        kind: "provision".to_owned(),
        tenant,
        params: json!({ "slug": "acme" }),
        steps: vec!["reserve".to_owned(), "create-database".to_owned()],
        run_at: None,
    }
}

/// Polls until `condition` holds.
pub(crate) async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut condition: F) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < DEADLINE, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
