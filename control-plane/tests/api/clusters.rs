//! Registering servers: each is looked at first.

use crate::fixture::{Plane, eventually, servers, start};
use control_plane::failpoint::NoFailpoints;
use launcher::{Scratch, Server};
use serde_json::{Value, json};
use std::sync::Arc;

/// A cluster's DSN for another role, made on the spot.
async fn dsn_of(server: &Server, role: &str, attributes: &str) -> String {
    let admin = server.connect("postgres").await.unwrap();
    let make =
        format!("drop role if exists {role}; create role {role} login password 'pw-{role}' {attributes}");
    admin.batch_execute(&make).await.unwrap();
    format!("postgres://{role}:pw-{role}@127.0.0.1:{}/postgres", server.port())
}

fn cluster(name: &str, dsn: &str) -> Value {
    json!({ "name": name, "region": "eu", "tls_mode": "disable", "admin_dsn": dsn })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_will_not_do_is_refused_and_its_dsn_never_repeated() {
    let plane = Plane::start().await;
    let other = &servers().await.other;
    let good = other.dsn("postgres");
    let powerless = dsn_of(other, "powerless", "createdb").await;
    for (expected, dsn) in [
        ("cluster-unreachable", format!("postgres://postgres:hunter2@127.0.0.1:{}/postgres", other.port())),
        ("cluster-unreachable", "postgres://postgres:hunter2@127.0.0.1:1/postgres".to_owned()),
        ("cluster-privileges", powerless),
        ("cluster-dsn-invalid", "postgres://postgres:hunter2@a,b/postgres".to_owned()),
        ("cluster-dsn-invalid", good.expose().replace("/postgres", "/template1")),
        ("cluster-dsn-invalid", "hunter2".to_owned()),
        ("cluster-exists", servers().await.catalog.dsn("postgres").expose().to_owned()),
    ] {
        let answer = plane.send(plane.post("/v1/clusters", cluster("eu-2", &dsn))).await;
        assert_eq!(answer.problem(), expected, "{answer:?}");
        let text = answer.body.to_string();
        assert!(!text.contains("hunter2") && !text.contains("pw-powerless"), "{text}");
    }
    let body = json!({ "name": "eu-2", "region": "eu", "tls_mode": "disable", "admin_dsn": good.expose(), "connection_budget": 100_000 });
    assert_eq!(plane.refused(plane.post("/v1/clusters", body)).await, "invalid-field");
    let body = json!({ "name": "eu-2", "region": "mars", "tls_mode": "disable", "admin_dsn": good.expose() });
    assert_eq!(plane.refused(plane.post("/v1/clusters", body)).await, "region-unknown");
    let shown = plane.expect(201, plane.post("/v1/clusters", cluster("eu-2", good.expose()))).await;
    assert!(!shown.to_string().contains(other.password().expose()), "{shown}");
    let again = plane.post("/v1/clusters", cluster("eu-3", good.expose()));
    assert_eq!(plane.refused(again).await, "cluster-exists");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_to_a_cluster_may_change_but_not_the_server() {
    let plane = Plane::start().await;
    let servers = servers().await;
    let another =
        plane.patch("/v1/clusters/eu-1", json!({ "admin_dsn": servers.other.dsn("postgres").expose() }));
    assert_eq!(plane.refused(another).await, "cluster-dsn-invalid");
    let dsn = dsn_of(&servers.catalog, "second_admin", "superuser").await;
    let changed = plane.expect(200, plane.patch("/v1/clusters/eu-1", json!({ "admin_dsn": dsn }))).await;
    assert_eq!(changed["admin_user"], "second_admin");
    plane.tenant("acme").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_budget_leaves_room_for_the_control_plane() {
    let plane = Plane::start().await;
    let budget = |budget: u32| plane.patch("/v1/clusters/eu-1", json!({ "connection_budget": budget }));
    // Of 300 connections 3 are the superuser's, and 5 ours.
    assert_eq!(plane.refused(budget(293)).await, "invalid-field");
    let raised = plane.expect(200, budget(292)).await;
    assert_eq!(raised["connection_budget"], 292);
    plane.expect(200, budget(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_registration_is_answered_although_the_server_is_gone() {
    let plane = Plane::start().await;
    let scratch = Scratch::create().unwrap();
    let server = start(&scratch, "passing").await;
    let body = cluster("eu-2", server.dsn("postgres").expose());
    let register = || plane.post("/v1/clusters", body.clone()).header("Idempotency-Key", "k");
    let first = plane.expect(201, register()).await;
    drop(server);
    assert_eq!(plane.expect(201, register()).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_without_superuser_suffices() {
    let plane = Plane::start_empty(Arc::new(NoFailpoints)).await;
    plane.expect(201, plane.post("/v1/regions", json!({ "name": "eu" }))).await;
    let dsn = dsn_of(&servers().await.other, "builder", "createdb createrole").await;
    plane.expect(201, plane.post("/v1/clusters", cluster("eu-1", &dsn))).await;
    let created = plane.tenant("acme").await;
    let id = created["tenant"]["id"].as_str().unwrap().parse().unwrap();
    let placement = plane.catalog.placement_get(id).await.unwrap().unwrap();

    // The tenant may do anything inside its database but change the marker, and others may not enter.
    let port = servers().await.other.port();
    let login = |user: &str, password: &str| {
        let mut login = tokio_postgres::Config::new();
        login.host("127.0.0.1").port(port).user(user).password(password).dbname(placement.database.as_str());
        login
    };
    // Its role has no password; its owner may give it one.
    let admin = servers().await.other.connect("postgres").await.unwrap();
    admin.batch_execute(&format!("alter role {} password 'its own'", placement.role)).await.unwrap();
    let tenant = login(placement.role.as_str(), "its own");
    let (client, connection) = tenant.connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("create table t (n int); insert into t values (1); create schema s").await.unwrap();
    for forbidden in ["delete from tenantry.marker", "drop schema tenantry cascade", "create role x"] {
        assert!(client.batch_execute(forbidden).await.is_err(), "{forbidden}");
    }
    dsn_of(&servers().await.other, "stranger", "").await;
    assert!(login("stranger", "pw-stranger").connect(tokio_postgres::NoTls).await.is_err());

    let deleting = plane.expect(202, plane.delete("/v1/tenants/acme")).await;
    plane.finished(&deleting["operation"]["id"], "succeeded").await;
    eventually("the tenant's session to be ended", async || client.is_closed().then_some(())).await;
}
