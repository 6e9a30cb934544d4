//! A gateway begins with nothing: no route, no connection, whatever the catalog holds and whoever is away.

use harness::Stack;
use std::net::TcpListener;
use suites::crowd;
use tenantry::dev::StackOptions;

const TENANTS: usize = 10_000;

/// Clusters that stand at an address where something listens and never answers.
const SILENT: i32 = 49;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_tenants_and_silent_clusters_cost_nothing_at_the_start() {
    let mut stack = Stack::start_with(StackOptions::ephemeral()).await;
    let tenant = stack.create_tenant("awake", "eu").await;
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    silent.set_nonblocking(true).expect("a socket");
    let port = i32::from(silent.local_addr().expect("it is bound").port());
    let clusters = "insert into catalog.clusters (id, name, region, host, port, admin_user, admin_database, admin_secret,
          system_identifier, server_version_num, connection_budget, capacity, tls_mode)
        select gen_random_uuid(), 'silent-' || n, 'eu', '127.0.0.1', $1, 'nobody', 'postgres', '\\x00', 'silent-' || n,
          150000, 10, 100000, 'disable' from generate_series(1, $2) n";
    stack.stop_control_plane().await.expect("it stops");
    let catalog = stack.catalog_admin().await;
    catalog.execute(clusters, &[&port, &SILENT]).await.expect("good clusters");
    crowd::add(&stack, TENANTS).await;
    catalog.batch_execute("analyze").await.expect("an administrator may");

    let process = stack.gateway_as_process("").await;
    assert_eq!(stack.metric("tenantry_route_cache_entries", &[]).await, 0.0, "no route was read");
    let backends = "select count(*) from pg_stat_activity where backend_type = 'client backend' and datname like 't\\_%'";
    let cluster = suites::admin::connect(&stack, "eu-1").await;
    let connections: i64 = cluster.query_one(backends, &[]).await.expect("an answer").get(0);
    assert_eq!(connections, 0, "no server was connected to");
    let dialled = silent.accept().expect_err("nobody has connected to a silent cluster");
    assert_eq!(dialled.kind(), std::io::ErrorKind::WouldBlock);
    let answer = tenant.connect().await.query_one("select 1", &[]).await.expect("an answer");
    assert_eq!(answer.get::<_, i32>(0), 1);
    assert_eq!(stack.metric("tenantry_route_cache_entries", &[]).await, 1.0, "and only this one is known");
    drop(process);
    stack.stop().await;
}

/// A tenant that made room for others is served again like one that was never seen, and nobody who is connected notices.
#[tokio::test(flavor = "multi_thread")]
async fn who_made_room_comes_back_and_who_is_connected_stays() {
    // The least that the settings allow.
    const CAPACITY: usize = 16;
    let options = StackOptions::ephemeral().gateway(|gateway| gateway.routes.capacity = CAPACITY);
    let stack = Stack::start_with(options).await;
    let (gone, connected) =
        (stack.create_tenant("gone", "eu").await, stack.create_tenant("connected", "eu").await);
    let client = connected.connect().await;
    client.batch_execute("create table t as select 1 as n").await.expect("its own database");
    let crowd = crowd::add(&stack, 20 * CAPACITY).await;
    for round in 0..3 {
        crowd::look_up(&stack.descriptor().gateway.admin, &crowd).await;
        let entries = stack.metric("tenantry_route_cache_entries", &[]).await;
        assert!(entries <= 16.0, "{entries} are known");
        let answer = client.query_one("select n from t", &[]).await.expect("it is still served");
        assert_eq!(answer.get::<_, i32>(0), 1, "round {round}");
        gone.connect().await.simple_query("select 1").await.expect("it is back");
    }
    assert!(stack.metric("tenantry_route_cache_evictions_total", &[]).await > 100.0);
    stack.stop().await;
}
