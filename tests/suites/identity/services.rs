//! Service credentials: programs that act for tenants which their requests name.

use super::{STACK, database_of};
use harness::{Knock, Tenant, eventually};
use reqwest::Method;
use serde_json::{Value, json};
use tenantry::client::path;

const NOUN: &str = "service-credentials";

pub(super) async fn make(role: &str, tenants: Option<&[&Tenant]>) -> Value {
    let mut body = json!({ "name": "report", "role": role, "expires_at": "2999-01-01T00:00:00Z" });
    if let Some(tenants) = tenants {
        body["tenants"] = tenants.iter().map(|tenant| tenant.slug.as_str()).collect();
    }
    let made = STACK.must(Method::POST, &path(&[NOUN]), Some(&body)).await;
    let stranger = Knock::new().bearer(made["key"].as_str().unwrap());
    eventually("the gateway knows it", async || (stranger.status(&STACK).await == 400).then_some(())).await;
    made
}

pub(super) fn with(service: &Value) -> Knock {
    Knock::new().bearer(service["key"].as_str().unwrap())
}

pub(super) async fn revoke(service: &Value) {
    let id = service["service_credential"]["id"].as_str().unwrap();
    STACK.must(Method::DELETE, &path(&[NOUN, id]), None).await;
}

#[tokio::test]
async fn a_service_acts_for_whom_its_request_names() {
    let (one, two) = (STACK.create_tenant("one", "eu").await, STACK.create_tenant("two", "us").await);
    let service = make("member", None).await;
    for tenant in [&one, &two] {
        let database = database_of(tenant).await;
        for knock in [
            with(&service).tenant_header(&tenant.id),
            with(&service).tenant_header(&tenant.slug),
            with(&service).path(&tenant.slug),
            with(&service).host(&format!("{}.localhost", tenant.slug)),
            with(&service).tenant_header(&tenant.id).path(&tenant.slug),
        ] {
            let (status, body) = knock.ask(&STACK, "select current_database()::text").await;
            assert_eq!((status, &body["rows"][0][0]), (200, &json!(database)), "{knock:?}: {body:#}");
        }
    }
    let created = with(&service).path("one").ask(&STACK, "create table t (n int)").await;
    assert_eq!((created.0, &created.1["code"]), (400, &json!("42501")), "a member makes no tables");
    assert_eq!(with(&service).path("one").tenant_header(&two.id).status(&STACK).await, 403);
    assert_eq!(with(&service).status(&STACK).await, 400, "it names nobody");
    assert_eq!(with(&service).tenant_header("no-such-tenant").status(&STACK).await, 404);
}

#[tokio::test]
async fn a_service_for_some_tenants_learns_nothing_of_others() {
    let (mine, other) = (
        STACK.create_tenant("served-by-some", "eu").await,
        STACK.create_tenant("served-by-others", "eu").await,
    );
    let service = make("viewer", Some(&[&mine])).await;
    assert_eq!(with(&service).tenant_header("served-by-some").status(&STACK).await, 200);
    let refused = with(&service).tenant_header(&other.id).ask(&STACK, "select 1").await;
    assert_eq!(refused.0, 403);
    for named in ["served-by-others", "no-such-tenant", "01920000-0000-7000-8000-000000000000"] {
        assert_eq!(with(&service).tenant_header(named).ask(&STACK, "select 1").await, refused, "{named}");
    }
}

#[tokio::test]
async fn a_revoked_service_opens_nothing_and_one_without_an_end_is_not_made() {
    let tenant = STACK.create_tenant("served", "eu").await;
    let service = make("owner", None).await;
    let knock = with(&service).path(&tenant.slug);
    assert_eq!(knock.status(&STACK).await, 200);
    let id = service["service_credential"]["id"].as_str().unwrap();
    eventually("its use is told", async || {
        let listed = STACK.client().list(&path(&[NOUN])).await.unwrap();
        let mine = listed.into_iter().find(|listed| listed["id"] == id).unwrap();
        mine["last_used_at"].as_str().map(str::to_owned)
    })
    .await;
    revoke(&service).await;
    eventually("it is refused", async || (knock.status(&STACK).await == 401).then_some(())).await;
    let endless = json!({ "name": "endless", "role": "owner" });
    assert!(STACK.client().change(Method::POST, &path(&[NOUN]), Some(&endless)).await.is_err());
    assert_eq!(Knock::new().bearer("tns_wrong").path("served").status(&STACK).await, 401);
}
