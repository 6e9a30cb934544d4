//! Domains of tenants' own: proved by a TXT record, and lost without it.

use super::{NAMES, STACK, database_of};
use harness::{Knock, Tenant, eventually};
use reqwest::Method;
use serde_json::{Value, json};
use tenantry::client::path;

async fn ask_for(tenant: &Tenant, domain: &str) -> Value {
    let path = path(&["tenants", &tenant.slug, "domains"]);
    STACK.must(Method::POST, &path, Some(&json!({ "domain": domain }))).await
}

async fn verify(tenant: &Tenant, domain: &str) -> Result<Value, String> {
    let path = path(&["tenants", &tenant.slug, "domains", domain, "verify"]);
    STACK.client().change(Method::POST, &path, None).await.map_err(|error| error.to_string())
}

/// Has the name server show what a domain's challenge asks for.
fn prove(asked: &Value) {
    let text = |pointer: &str| asked.pointer(pointer).and_then(Value::as_str).unwrap();
    NAMES.get().unwrap().set(text("/challenge/name"), &["something else", text("/challenge/value")]);
}

fn take_back(asked: &Value) {
    NAMES.get().unwrap().set(asked["challenge"]["name"].as_str().unwrap(), &[]);
}

/// Has the tenant own a domain.
pub(crate) async fn own(tenant: &Tenant, domain: &str) {
    prove(&ask_for(tenant, domain).await);
    verify(tenant, domain).await.unwrap();
}

/// Where a request for this host ends up, with a tenant's password and nothing else that names a tenant.
async fn lands_in(tenant: &Tenant, host: &str) -> (u16, Value) {
    let nameless = format!("postgres://app:{}@127.0.0.1", tenant.password());
    let knock = Knock::new().connection_string(&nameless).host(host);
    let (status, body) = knock.ask(&STACK, "select current_database()::text").await;
    (status, body["rows"][0][0].clone())
}

#[tokio::test]
async fn a_domain_leads_to_its_tenant_from_its_proof_on() {
    let tenant = STACK.create_tenant("domained", "eu").await;
    let asked = ask_for(&tenant, "SQL.Acme.example.").await;
    assert_eq!((&asked["domain"], &asked["verified"]), (&json!("sql.acme.example"), &json!(false)));
    let unproven = verify(&tenant, "sql.acme.example").await.unwrap_err();
    assert!(unproven.contains("TXT"), "{unproven}");
    assert_eq!(lands_in(&tenant, "sql.acme.example").await.0, 400, "it names nobody yet");
    prove(&asked);
    assert_eq!(verify(&tenant, "sql.acme.example").await.unwrap()["verified"], true);
    let database = database_of(&tenant).await;
    eventually("the domain leads to the tenant", async || {
        (lands_in(&tenant, "SQL.acme.example:443").await == (200, json!(database))).then_some(())
    })
    .await;
    let by_key = Knock::new().bearer(&tenant.api_key).host("sql.acme.example");
    assert_eq!(by_key.clone().path("domained").status(&STACK).await, 200, "both are the tenant's names");
    let other = STACK.create_tenant("undomained", "eu").await;
    assert_eq!(Knock::new().bearer(&other.api_key).host("sql.acme.example").status(&STACK).await, 403);
    let path = path(&["tenants", "domained", "domains", "sql.acme.example"]);
    STACK.must(Method::DELETE, &path, None).await;
    eventually("it leads nowhere", async || {
        (lands_in(&tenant, "sql.acme.example").await.0 == 400).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_domain_is_one_tenants_at_a_time_and_asking_for_it_gives_nothing() {
    let (first, second) =
        (STACK.create_tenant("first-asks", "eu").await, STACK.create_tenant("second-asks", "eu").await);
    let (asked_first, asked_second) =
        (ask_for(&first, "one.example").await, ask_for(&second, "one.example").await);
    assert_ne!(asked_first["challenge"]["value"], asked_second["challenge"]["value"]);
    // What proves it for one proves nothing for the other.
    prove(&asked_first);
    assert!(verify(&second, "one.example").await.is_err());
    verify(&first, "one.example").await.unwrap();
    prove(&asked_second);
    let taken = verify(&second, "one.example").await.unwrap_err();
    assert!(taken.contains("another tenant"), "{taken}");
}

#[tokio::test]
async fn a_domain_whose_record_is_gone_is_lost_after_a_while() {
    let tenant = STACK.create_tenant("losing", "eu").await;
    let asked = ask_for(&tenant, "lost.example").await;
    prove(&asked);
    verify(&tenant, "lost.example").await.unwrap();
    eventually("it leads to the tenant", async || {
        (lands_in(&tenant, "lost.example").await.0 == 200).then_some(())
    })
    .await;
    take_back(&asked);
    eventually("it is lost", async || (lands_in(&tenant, "lost.example").await.0 == 400).then_some(())).await;
    let listed = STACK.client().list(&path(&["tenants", "losing", "domains"])).await.unwrap();
    assert_eq!((&listed[0]["verified"], listed.len()), (&json!(false), 1));
}
