//! Secrets are shown once and stored nowhere in clear.

use crate::fixture::Plane;
use serde_json::json;
use tokio_postgres::NoTls;

/// Every row of every table of the catalog, as text.
pub(crate) async fn everything(plane: &Plane) -> String {
    let config: tokio_postgres::Config = plane.catalog_dsn.expose().parse().unwrap();
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    let tables = "select format('%I.%I', table_schema, table_name) from information_schema.tables
                  where table_schema = 'catalog' and table_type = 'BASE TABLE'";
    let mut text = String::new();
    for table in client.query(tables, &[]).await.unwrap() {
        let table: String = table.get(0);
        // bytea shows as hex, so a secret in clear inside one is looked for as such too.
        let rows = client.query(&format!("select t::text from {table} t"), &[]).await.unwrap();
        for row in rows {
            text.push_str(row.get(0));
            text.push('\n');
        }
    }
    text
}

pub(crate) fn hex(secret: &[u8]) -> String {
    secret.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalog_holds_no_secret_in_clear() {
    let plane = Plane::start().await;
    let body = json!({ "slug": "acme", "region": "eu" });
    let created = plane.expect(202, plane.post("/v1/tenants", body).header("Idempotency-Key", "k")).await;
    plane.finished(&created["operation"]["id"], "succeeded").await;
    let url = created["connection_string"].as_str().unwrap();
    let password = url.trim_start_matches("postgres://app:").split('@').next().unwrap();
    let tenant = created["tenant"]["id"].as_str().unwrap().parse().unwrap();
    let placement = plane.catalog.placement_get(tenant).await.unwrap().unwrap();
    let cluster = plane.catalog.cluster_admin(placement.cluster).await.unwrap().unwrap();
    let stored = everything(&plane).await;
    assert!(stored.contains("acme"), "the look itself works");
    for secret in [password, created["api_key"].as_str().unwrap(), cluster.password.expose()] {
        let hex = hex(secret.as_bytes());
        assert!(!stored.contains(secret) && !stored.contains(&hex), "a secret is stored in clear");
    }
    // Version and rounds in front are no secret; the keys behind them are.
    let keys = placement.keys.unwrap().to_bytes();
    assert!(!stored.contains(&hex(&keys[5..37])) && !stored.contains(&hex(&keys[37..69])));
    let metrics = plane.send(plane.anonymous("/metrics")).await;
    assert!(!metrics.body.to_string().contains(password));
}
