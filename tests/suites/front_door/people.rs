//! Somebody who belongs to tenants, and signs in at the control plane.

use crate::STACK;
use crate::world::Owners;
use harness::Tenant;
use reqwest::Method;
use serde_json::{Value, json};
use tenantry::client::path;

const EMAIL: &str = "door@example.com";
const PASSWORD: &str = "correct horse battery";

/// A member of the tenants, with two sessions.
pub(crate) struct Person {
    pub id: String,
    /// It goes on.
    session: String,
    /// It ends.
    brief: String,
}

impl Person {
    pub(crate) async fn joins(owners: &Owners) -> Self {
        let account = json!({ "email": EMAIL, "display_name": "Door", "password": PASSWORD });
        let user = STACK.must(Method::POST, &path(&["users"]), Some(&account)).await;
        let id = user["id"].as_str().expect("an id").to_owned();
        for tenant in [&owners.mine, &owners.suspended, &owners.purged] {
            let body = json!({ "user": id, "role": "member" });
            STACK.must(Method::POST, &path(&["tenants", &tenant.id, "members"]), Some(&body)).await;
        }
        Self { id, session: sign_in().await, brief: sign_in().await }
    }

    /// A gateway token.
    pub(crate) async fn token(&self, tenant: &Tenant) -> String {
        switch(&self.session, tenant).await
    }

    /// One of the session that ends.
    pub(crate) async fn brief_token(&self, tenant: &Tenant) -> String {
        switch(&self.brief, tenant).await
    }

    pub(crate) async fn sessions_end(&self) {
        api(Method::DELETE, Some(&self.brief), "/v1/session", &json!({})).await;
    }
}

async fn sign_in() -> String {
    token(&api(Method::POST, None, "/v1/session", &json!({ "email": EMAIL, "password": PASSWORD })).await)
}

async fn switch(session: &str, tenant: &Tenant) -> String {
    token(&api(Method::POST, Some(session), "/v1/session/switch", &json!({ "tenant": tenant.slug })).await)
}

fn token(answer: &Value) -> String {
    answer["token"].as_str().expect("a token").to_owned()
}

/// What the control plane answers to somebody else than its operator.
async fn api(method: Method, token: Option<&str>, path: &str, body: &Value) -> Value {
    let url = format!("{}{path}", STACK.descriptor().control_plane);
    let mut request = reqwest::Client::new().request(method, url);
    if body.as_object().is_some_and(|fields| !fields.is_empty()) {
        request = request.json(body);
    }
    let request = token.into_iter().fold(request, |request, token| request.bearer_auth(token));
    let response = request.send().await.expect("an answer");
    let (status, text) = (response.status(), response.text().await.expect("text"));
    assert!(status.is_success(), "{path}: {text}");
    serde_json::from_str(&text).unwrap_or_default()
}
