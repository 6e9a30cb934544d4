//! A catalog in which all tenants are known, with or without a control plane that made them.
//!
//! Rows are written by the control plane's own functions, but for operations: ten thousand provisions would take
//! hours, and what a gateway is asked to do afterwards would be the same.

use super::{WorldError, databases, keys, tenant_id, verifier};
use catalog_schema::read::routes::{ClusterTls, CredentialKind};
use catalog_schema::{
    Catalog, Context, MasterKey, NewCluster, NewCredential, NewPlacement, NewTenant, PlanRecord, Tx,
};
use launcher::{Binaries, Server, ServerOptions};
use pgwire::scram::ClientKeys;
use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use tenancy::{
    ClusterId, CredentialId, Isolation, Limits, PlanName, RegionName, Role, Secret, TenantState, TlsMode,
};
use tokio::process::Command;
use tokio_postgres::Client;

/// Tenants written in one transaction.
const AT_ONCE: usize = 100;

const REGION: &str = "fleet";
const PLAN: &str = "fleet";

/// The way into a catalog.
pub(crate) struct Registry {
    catalog: Catalog,
}

/// A catalog on a server of its own.
pub(crate) struct CatalogServer {
    pub(crate) registry: Registry,
    home: PathBuf,
    /// Stops when it is dropped.
    _server: Server,
}

/// A server as the catalog is to know it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) system_identifier: String,
    pub(crate) version_num: u32,
    /// Connections that gateways may hold to it.
    pub(crate) budget: u32,
}

impl Place {
    /// What a running server says of itself to its administrator.
    pub(crate) async fn of(name: &str, port: u16, budget: u32, admin: &Client) -> Result<Self, WorldError> {
        let sql = "select (select system_identifier::text from pg_control_system()),
                     current_setting('server_version_num')::int";
        let row = admin.query_one(sql, &[]).await.map_err(WorldError::database("the server's identity"))?;
        Ok(Self {
            name: name.to_owned(),
            port,
            system_identifier: row.get(0),
            version_num: u32::try_from(row.get::<_, i32>(1)).unwrap_or(0),
            budget,
        })
    }
}

impl CatalogServer {
    /// Starts one with a region and a plan of these limits, and no tenants. Its schema is the one of `program`, whose
    /// gateway is to read it.
    pub(crate) async fn start(
        program: &Path,
        binaries: &Binaries,
        home: &Path,
        limits: Limits,
    ) -> Result<Self, WorldError> {
        let options = ServerOptions::throwaway(binaries.clone(), &home.join("catalog"))
            .password(Secret::new(super::PASSWORD.to_owned()))
            .setting("shared_buffers", "128MB");
        let server = Server::start(options).await?;
        let admin = server.connect("postgres").await?;
        for sql in ["drop database if exists tenantry with (force)", "create database tenantry"] {
            admin.batch_execute(sql).await.map_err(WorldError::database(sql))?;
        }
        let dsn = server.dsn("tenantry");
        migrate(program, &dsn).await?;
        let key = MasterKey::generate().map_err(|error| WorldError::Key(error.to_string()))?;
        let registry = Registry::open(&dsn, key.clone(), limits).await?;
        let made = Self { registry, home: home.to_owned(), _server: server };
        for (path, secret) in [(made.key_file(), key.to_base64()), (made.dsn_file(), dsn)] {
            fs::write(&path, secret.expose()).map_err(WorldError::file(&path))?;
        }
        Ok(made)
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.home.join("master-key")
    }

    pub(crate) fn dsn_file(&self) -> PathBuf {
        self.home.join("catalog-dsn")
    }
}

impl Registry {
    /// Opens a catalog whose schema is there, and makes sure of the region and the plan that tenants get.
    pub(crate) async fn open(dsn: &Secret, key: MasterKey, limits: Limits) -> Result<Self, WorldError> {
        let registry = Self { catalog: Catalog::connect(dsn, key, 2).await? };
        let known = registry.catalog.regions().await?.into_iter().any(|known| known.name == region());
        let mut tx = registry.begin().await?;
        if !known {
            tx.region_create(&region(), REGION).await?;
        }
        tx.plan_set(&PlanRecord { name: plan(), limits }).await?;
        tx.commit().await?;
        Ok(registry)
    }

    async fn begin(&self) -> Result<Tx, WorldError> {
        let context = Context { actor: "fleet".to_owned(), request_id: "setup".to_owned() };
        Ok(self.catalog.begin(&context).await?)
    }

    /// Makes a server known, and tenants on it. Those that have no database there are known all the same; with no
    /// session on the server, none is looked for.
    pub(crate) async fn register(
        &self,
        place: &Place,
        known: Range<u32>,
        users_each: u32,
        admin: Option<&Client>,
    ) -> Result<(), WorldError> {
        let cluster = self.register_cluster(place, u32::try_from(known.len()).unwrap_or(u32::MAX)).await?;
        let oids = match admin {
            Some(admin) => databases::oids(admin, &known).await?,
            None => Vec::new(),
        };
        let oids: HashMap<u32, (u32, u32)> = oids.into_iter().map(|(n, d, r)| (n, (d, r))).collect();
        let (keys, verifier) = (keys()?, verifier()?);
        let numbers: Vec<u32> = known.collect();
        for some in numbers.chunks(AT_ONCE) {
            let mut tx = self.begin().await?;
            for n in some {
                write_tenant(&mut tx, *n, cluster, &keys, oids.get(n).copied()).await?;
                write_users(&mut tx, *n, users_each, &verifier).await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }

    async fn register_cluster(&self, place: &Place, capacity: u32) -> Result<ClusterId, WorldError> {
        let new = NewCluster {
            id: ClusterId::generate(),
            name: name(&place.name),
            region: region(),
            host: "127.0.0.1".to_owned(),
            port: place.port,
            admin_user: launcher::ADMIN_USER.to_owned(),
            admin_database: "postgres".to_owned(),
            admin_password: Secret::new(super::PASSWORD.to_owned()),
            system_identifier: place.system_identifier.clone(),
            server_version_num: place.version_num,
            connection_budget: place.budget,
            capacity,
            tls: ClusterTls { mode: TlsMode::Disable, ca: None, server_name: None },
        };
        let mut tx = self.begin().await?;
        tx.cluster_create(&new).await?;
        tx.commit().await?;
        Ok(new.id)
    }
}

/// The connection string is in the environment, where no list of processes shows it.
async fn migrate(program: &Path, dsn: &Secret) -> Result<(), WorldError> {
    let failed = |what: String| WorldError::Program { program: program.display().to_string(), what };
    let mut command = Command::new(program);
    command.args(["catalog", "migrate"]).env("TENANTRY_CATALOG_DSN", dsn.expose());
    let output = command.output().await.map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(format!("did not migrate: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

async fn write_tenant(
    tx: &mut Tx,
    n: u32,
    cluster: ClusterId,
    keys: &ClientKeys,
    oids: Option<(u32, u32)>,
) -> Result<(), WorldError> {
    let tenant = tenant_id(n);
    let new = NewTenant {
        id: tenant,
        slug: name(&format!("t{n}")),
        display_name: format!("tenant {n}"),
        region: region(),
        allowed_regions: vec![region()],
        plan: plan(),
        isolation: Isolation::Database,
    };
    tx.tenant_create(&new).await?;
    let place = NewPlacement {
        tenant,
        cluster,
        database: name(&format!("t{n}")),
        role: name(&format!("u{n}")),
        keys: keys.clone(),
    };
    tx.placement_create(&place).await?;
    if let Some((database, role)) = oids {
        tx.role_created(tenant, role).await?;
        tx.database_created(tenant, database).await?;
    }
    tx.tenant_set_state(tenant, TenantState::Active).await?;
    Ok(())
}

async fn write_users(tx: &mut Tx, n: u32, users: u32, verifier: &str) -> Result<(), WorldError> {
    for index in 0..users {
        let user = name(&super::user(n, index));
        let credential = NewCredential {
            id: CredentialId::generate(),
            tenant: tenant_id(n),
            role: Role::Owner,
            expires_at: None,
            pool_mode: None,
            kind: CredentialKind::Password { user, verifier: verifier.to_owned() },
        };
        tx.credential_create(&credential).await?;
    }
    Ok(())
}

fn region() -> RegionName {
    name(REGION)
}

fn plan() -> PlanName {
    name(PLAN)
}

/// A name of ours.
fn name<T: std::str::FromStr>(text: &str) -> T {
    text.parse().ok().expect("lower-case letters, digits and hyphens make a name of any kind")
}
