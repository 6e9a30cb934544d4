//! Nothing that opens anything stands in the catalog in clear.

use crate::fixture::{CLUSTER_PASSWORD, Fixture, ROLE_PASSWORD, role_keys};
use catalog_schema::{ClusterPatch, StoredResponse};
use pgwire::scram::ClientKeys;
use tenancy::Secret;

const ANSWER: &str = "postgres://app:shown-once@gateway/acme";

/// Every row of every table, as text.
async fn dump(fixture: &Fixture) -> String {
    let raw = fixture.raw().await;
    let tables = "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname = 'catalog'";
    let mut text = String::new();
    for table in raw.query(tables, &[]).await.unwrap() {
        let table: String = table.get(0);
        let rows = raw.query(&format!("select to_jsonb(t)::text from {table} t"), &[]).await.unwrap();
        text.extend(rows.iter().map(|row| row.get::<_, String>(0)));
    }
    text
}

/// As the text is, and as `bytea` shows it.
fn stands_in(dump: &str, secret: &str) -> bool {
    dump.contains(secret) || dump.contains(&hex(secret.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn no_table_shows_a_secret() {
    let fixture = Fixture::new().await;
    let id = fixture.active_tenant("acme").await;
    let (rotated, _) = ClientKeys::generate().unwrap();
    let before = dump(&fixture).await;
    let mut tx = fixture.tx().await;
    tx.placement_keys_set(id, &rotated).await.unwrap();
    let patch = ClusterPatch {
        admin_password: Some(Secret::new(CLUSTER_PASSWORD.to_owned())),
        ..ClusterPatch::default()
    };
    let cluster = fixture.cluster("eu-1").await.cluster.id;
    tx.cluster_update(cluster, None, &patch).await.unwrap();
    tx.idempotency_begin("key", &[1; 32]).await.unwrap();
    tx.idempotency_finish("key", &StoredResponse::new(202, ANSWER.to_owned())).await.unwrap();
    tx.commit().await.unwrap();

    let dump = dump(&fixture).await;
    assert!(dump.contains("acme") && dump.contains("placement.create"), "the dump has something in it");
    for secret in [CLUSTER_PASSWORD, ROLE_PASSWORD, ANSWER, "shown-once"] {
        assert!(!stands_in(&dump, secret), "{secret}");
    }
    // Version and rounds in front are no secret; the keys behind them are.
    assert!(!before.contains(&hex(&role_keys().to_bytes()[5..37])));
    assert!(!dump.contains(&hex(&rotated.to_bytes()[5..37])));
    let key = fixture.catalog.key().to_base64();
    assert!(!stands_in(&dump, key.expose()));
    let admin = fixture.catalog.cluster_admin(cluster).await.unwrap().unwrap();
    assert_eq!(admin.password.expose(), CLUSTER_PASSWORD);
    let found = fixture.catalog.placement_get(id).await.unwrap().unwrap().keys.unwrap();
    assert_eq!(found.to_bytes(), rotated.to_bytes());
}

#[tokio::test]
async fn no_type_prints_a_secret() {
    let fixture = Fixture::new().await;
    let id = fixture.active_tenant("acme").await;
    let mut tx = fixture.tx().await;
    tx.credential_create(&crate::fixture::password(id, "app")).await.unwrap();
    tx.commit().await.unwrap();
    let route = fixture.catalog.route_by_id(id).await.unwrap();
    let admin = fixture.catalog.cluster_admin(fixture.cluster("eu-1").await.cluster.id).await.unwrap();
    let printed = format!("{route:?} {admin:?} {:?}", fixture.catalog);
    for secret in [CLUSTER_PASSWORD, ROLE_PASSWORD, "SCRAM-SHA-256"] {
        assert!(!printed.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_sealed_secret_does_not_open_in_another_row() {
    let fixture = Fixture::new().await;
    let (one, other) = (fixture.active_tenant("one").await, fixture.active_tenant("other").await);
    let swap = format!(
        "update catalog.placements set keys = (select keys from catalog.placements where tenant_id = '{one}')
         where tenant_id = '{other}'"
    );
    fixture.raw().await.batch_execute(&swap).await.unwrap();
    assert!(fixture.catalog.route_by_id(other).await.is_err());
    assert!(fixture.catalog.route_by_id(one).await.is_ok());
}
