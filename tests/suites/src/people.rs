//! The same tenant as people with other roles meet it.

use harness::{Stack, Tenant, eventually};
use reqwest::Method;
use serde_json::{Value, json};
use tenancy::Role;
use tenantry::client::path;

/// Makes a password and an API key for somebody with this role, and waits until the gateway takes them.
///
/// # Panics
/// When that fails.
pub async fn with_role(stack: &Stack, tenant: &Tenant, role: Role) -> Tenant {
    let credentials = path(&["tenants", &tenant.id, "credentials"]);
    let make = async |body: Value| stack.must(Method::POST, &credentials, Some(&body)).await;
    let text = |answer: &Value, name: &str| match answer[name].as_str() {
        Some(text) => text.to_owned(),
        None => panic!("the control plane's answer has no {name}: {answer}"),
    };
    let password =
        make(json!({ "kind": "password", "user_name": role.as_str(), "role": role.as_str() })).await;
    let key = make(json!({ "kind": "api-key", "role": role.as_str() })).await;
    let somebody = Tenant {
        connection_string: text(&password, "connection_string"),
        api_key: text(&key, "api_key"),
        ..tenant.clone()
    };
    eventually("the gateway knows the new user", async || somebody.try_connect().await.ok()).await;
    somebody
}
