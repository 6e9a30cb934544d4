//! Keys and passwords that change under load: nobody notices.

use crate::{HERE, PATIENT_MS, World};
use catalog_schema::{Catalog, Context, MasterKey};
use harness::{Tenant, eventually};
use pgwire::scram::ClientKeys;
use reqwest::Method;
use serde_json::json;
use suites::load::Load;
use tenancy::{Secret, TenantId};
use tenantry::client::path;
use tokio_postgres::NoTls;

const CLIENTS: usize = 8;
const ROUNDS: usize = 5;

async fn world() -> World {
    World::start(|gateway| gateway.pool.outage_patience_ms = PATIENT_MS.into()).await
}

/// The catalog as the control plane has it.
async fn catalog(world: &World) -> Catalog {
    let file = world.stack.data_dir().join("master-key");
    let key = std::fs::read_to_string(file).expect("the stack's directory is ours");
    let key = MasterKey::from_base64(&Secret::new(key)).expect("the stack has made it");
    let dsn = Secret::new(world.stack.descriptor().catalog_dsn.clone());
    Catalog::connect(&dsn, key, 1).await.expect("a good DSN")
}

async fn record(catalog: &Catalog, tenant: &Tenant, keys: &ClientKeys) {
    let id: TenantId = tenant.id.parse().expect("an id");
    let context = Context { actor: "suite".into(), request_id: "rotation".into() };
    let mut tx = catalog.begin(&context).await.expect("the catalog answers");
    tx.placement_keys_set(id, keys).await.expect("it is placed");
    tx.commit().await.expect("the catalog answers");
}

/// Has idle connections closed, so that others have to be opened.
async fn reconnect(world: &World, tenant: &Tenant) {
    let console = &world.stack.descriptor().gateway.console;
    let (client, connection) = tokio_postgres::connect(console, NoTls).await.expect("let in");
    tokio::spawn(connection);
    client.simple_query(&format!("reconnect {}", tenant.slug)).await.expect("an admin may");
}

/// The server has the new keys first, as when the control plane gives them out: logins fail until the catalog has
/// them too, and wait for that.
#[tokio::test(flavor = "multi_thread")]
async fn new_keys_of_a_role_are_noticed_by_nobody() {
    let world = world().await;
    let tenant = world.tenant("rekeyed", "three").await;
    let (catalog, physical) = (catalog(&world).await, world.stack.physical(&tenant).await);
    let admin = world.stack.cluster_admin(HERE, "postgres").await;
    let load = Load::start(&tenant, CLIENTS);
    load.goes_on().await;
    for _ in 0..ROUNDS {
        let (keys, verifier) = ClientKeys::generate().expect("randomness");
        let failed = world.logins("failed").await;
        let alter = format!("alter role {} password '{verifier}'", physical.role);
        admin.batch_execute(&alter).await.expect("an administrator may");
        reconnect(&world, &tenant).await;
        eventually("a login is refused", async || (world.logins("failed").await > failed).then_some(()))
            .await;
        record(&catalog, &tenant, &keys).await;
        load.goes_on().await;
    }
    assert_eq!(load.failed(), 0, "somebody noticed");
    load.stop().await;
    assert_eq!(world.breaker().await, 0.0);
    world.ends_well().await;
}

/// The catalog says nothing, and is asked: the login that fails has the route read anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_fails_has_the_route_read_anew() {
    let world = world().await;
    let tenant = world.tenant("unheard", "three").await;
    let (catalog, physical) = (catalog(&world).await, world.stack.physical(&tenant).await);
    let admin = world.stack.cluster_admin(HERE, "postgres").await;
    // What tells gateways of a change.
    let silence = "alter table catalog.placements disable trigger user";
    world.stack.catalog_admin().await.batch_execute(silence).await.expect("an administrator may");
    let load = Load::start(&tenant, CLIENTS);
    load.goes_on().await;
    for _ in 0..ROUNDS {
        let (keys, verifier) = ClientKeys::generate().expect("randomness");
        let failed = world.logins("failed").await;
        record(&catalog, &tenant, &keys).await;
        let alter = format!("alter role {} password '{verifier}'", physical.role);
        admin.batch_execute(&alter).await.expect("an administrator may");
        reconnect(&world, &tenant).await;
        eventually("a login is refused", async || (world.logins("failed").await > failed).then_some(()))
            .await;
        load.goes_on().await;
    }
    assert_eq!(load.failed(), 0, "somebody noticed");
    load.stop().await;
    world.ends_well().await;
}

async fn new_password(world: &World, tenant: &Tenant) -> (Tenant, String) {
    let credentials = path(&["tenants", &tenant.slug, "credentials"]);
    let created = world.stack.must(Method::POST, &credentials, Some(&json!({ "kind": "password" }))).await;
    let id = created["credential"]["id"].as_str().expect("credentials have ids").to_owned();
    let connection_string = created["connection_string"].as_str().expect("it is shown once").to_owned();
    (Tenant { connection_string, ..tenant.clone() }, id)
}

/// A new password beside the old one, the application moved over, the old one revoked.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_is_noticed_by_nobody() {
    let world = world().await;
    let tenant = world.tenant("rotated", "three").await;
    let (mut holder, mut id) = new_password(&world, &tenant).await;
    eventually("it opens", async || holder.try_connect().await.ok()).await;
    let mut load = Load::start(&holder, CLIENTS);
    for _ in 0..ROUNDS {
        let (next, next_id) = new_password(&world, &tenant).await;
        eventually("it opens", async || next.try_connect().await.ok()).await;
        let next_load = Load::start(&next, CLIENTS);
        next_load.goes_on().await;
        assert_eq!(load.failed(), 0, "somebody noticed");
        load.stop().await;
        let old = path(&["tenants", &tenant.slug, "credentials", &id]);
        world.stack.must(Method::DELETE, &old, None).await;
        eventually("the old one opens nothing", async || holder.try_connect().await.err()).await;
        next_load.goes_on().await;
        (holder, id, load) = (next, next_id, next_load);
    }
    assert_eq!(load.failed(), 0, "somebody noticed");
    load.stop().await;
    world.ends_well().await;
}
