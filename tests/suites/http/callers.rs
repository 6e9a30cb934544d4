//! Who may send a request, and for which tenant.

use super::{Http, answer, ok};
use harness::{Stack, Tenant, eventually};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

fn query() -> Value {
    json!({"query": "select current_database()", "arrayMode": true})
}

/// The connection string with another part in place of one.
fn changed(tenant: &Tenant, from: &str, to: &str) -> String {
    assert!(tenant.connection_string.contains(from), "{from}");
    tenant.connection_string.replacen(from, to, 1)
}

async fn refused(request: RequestBuilder, status: u16) -> Value {
    let (got, body) = answer(request).await;
    assert_eq!(got, status, "{body:#}");
    body
}

#[tokio::test]
async fn a_caller_proves_itself_and_names_one_tenant() {
    let stack = Stack::start().await;
    let acme = stack.create_tenant("acme", "eu").await;
    let other = stack.create_tenant("other", "us").await;
    let http = Http::new(&stack);

    let mine = ok(http.with_key(&acme, &query())).await["rows"].clone();
    assert_ne!(mine, ok(http.with_key(&other, &query())).await["rows"]);
    the_tenant_is_found_in_each_place(&http, &acme, &mine).await;
    strangers_look_alike(&http, &acme).await;
    two_tenants_in_one_request_are_refused(&http, &acme, &other).await;
    a_suspended_tenant_is_known_only_to_its_own(&stack, &http, &acme).await;
}

async fn the_tenant_is_found_in_each_place(http: &Http, acme: &Tenant, mine: &Value) {
    let at_host = changed(acme, "127.0.0.1", "acme.localhost");
    for connection_string in [
        acme.connection_string.clone(),
        changed(acme, "app:", "app.acme:"),
        changed(acme, "/acme", "/").replacen("app:", "app.acme:", 1),
        at_host.replacen("/acme", "", 1),
        at_host,
    ] {
        let request = http.sql(&query()).header("Neon-Connection-String", &connection_string);
        assert_eq!(ok(request).await["rows"], *mine, "{connection_string}");
        let request = http.with_key(acme, &query()).header("Neon-Connection-String", &connection_string);
        assert_eq!(ok(request).await["rows"], *mine, "{connection_string}");
    }
    let nameless =
        http.with_key(acme, &query()).header("Neon-Connection-String", "postgres://db.example.com");
    assert_eq!(ok(nameless).await["rows"], *mine);
}

async fn strangers_look_alike(http: &Http, acme: &Tenant) {
    let with = |text: String| http.sql(&query()).header("Neon-Connection-String", text);
    let expected = refused(with("postgres://app:wrong@127.0.0.1/acme".to_owned()), 401).await;
    assert_eq!(expected["code"], "28P01");
    for text in ["postgres://app:wrong@127.0.0.1/nobody", "postgres://app:wrong@127.0.0.1/No%20Slug"] {
        assert_eq!(refused(with(text.to_owned()), 401).await, expected, "{text}");
    }
    let unknown_user = refused(with(changed(acme, "app:", "ghost:")), 401).await;
    assert_eq!(unknown_user["message"], "password authentication failed for user \"ghost\"");
    for (key, what) in [("tnt_unknown", "API key"), ("eyJhbGciOiJIUzI1NiJ9.e30.x", "token")] {
        let body = refused(http.sql(&query()).bearer_auth(key), 401).await;
        assert_eq!(body["message"], format!("the {what} is not valid"));
    }
    // A right key is not helped by a wrong password, nor a wrong key by a right one.
    ok(http.with_key(acme, &query()).header("Neon-Connection-String", "postgres://app:wrong@h/acme")).await;
    refused(with(acme.connection_string.clone()).bearer_auth("tnt_unknown"), 401).await;
    refused(http.sql(&query()).header("Authorization", "Basic YXBwOnB3"), 401).await;
    let response = http.sql(&query()).bearer_auth("tnt_unknown").send().await.unwrap();
    assert!(response.headers().contains_key("www-authenticate"));
    refused(http.sql(&query()), 400).await;
    refused(with("mysql://app@h/acme".to_owned()), 400).await;
}

async fn two_tenants_in_one_request_are_refused(http: &Http, acme: &Tenant, other: &Tenant) {
    for (from, to) in [("app:", "app.other:"), ("127.0.0.1", "other.localhost")] {
        let request = http.sql(&query()).header("Neon-Connection-String", changed(acme, from, to));
        refused(request, 403).await;
    }
    for text in [other.connection_string.as_str(), "postgres://app@127.0.0.1/nobody"] {
        let body = refused(http.with_key(acme, &query()).header("Neon-Connection-String", text), 403).await;
        assert_eq!(body["message"], "the API key and the database name different tenants");
    }
}

async fn a_suspended_tenant_is_known_only_to_its_own(stack: &Stack, http: &Http, acme: &Tenant) {
    stack.change_state("acme", "suspend").await;
    let suspended = eventually("the tenant is refused", async || {
        let (status, body) = answer(http.with_key(acme, &query())).await;
        (status == 403).then_some(body)
    })
    .await;
    assert_eq!(
        (&suspended["code"], &suspended["message"]),
        (&json!("57P03"), &json!("the tenant is suspended"))
    );
    let stranger = http.sql(&query()).header("Neon-Connection-String", "postgres://app:wrong@127.0.0.1/acme");
    refused(stranger, 401).await;
    stack.change_state("acme", "resume").await;
    eventually("the tenant is served again", async || {
        (answer(http.with_key(acme, &query())).await.0 == 200).then_some(())
    })
    .await;
}
