//! The control plane's own tokens, which take its people to gateways.

use super::{STACK, answer, connect, database_of, refused, sql, sqlstate, value, with_token};
use harness::oidc::{Signer, now};
use harness::{Tenant, eventually};
use reqwest::Method;
use serde_json::{Value, json};
use tenantry::client::path;
use tokio_postgres::Client;

const PASSWORD: &str = "correct horse battery";

/// A member of a tenant who has signed in.
pub(crate) struct Person {
    id: String,
    session: String,
}

impl Person {
    pub(crate) async fn joins(name: &str, tenant: &Tenant, role: &str) -> Self {
        let email = format!("{name}@example.com");
        let account = json!({ "email": email, "display_name": name, "password": PASSWORD });
        let user = STACK.must(Method::POST, &path(&["users"]), Some(&account)).await;
        let id = user["id"].as_str().unwrap().to_owned();
        let body = json!({ "user": id, "role": role });
        STACK.must(Method::POST, &path(&["tenants", &tenant.id, "members"]), Some(&body)).await;
        let signed_in = api(None, "/v1/session", &json!({ "email": email, "password": PASSWORD })).await;
        Self { id, session: signed_in["token"].as_str().unwrap().to_owned() }
    }

    /// A token for the gateways, which know the key that signed it.
    pub(crate) async fn token(&self, tenant: &Tenant) -> String {
        let body = json!({ "tenant": tenant.slug });
        let switched = api(Some(&self.session), "/v1/session/switch", &body).await;
        let token = switched["token"].as_str().unwrap().to_owned();
        eventually("the gateway knows the key", async || {
            (answer(sql(&token, "select 1")).await.0 == 200).then_some(())
        })
        .await;
        token
    }
}

impl Person {
    /// Ends the session.
    pub(crate) async fn signs_out(&self) {
        let url = format!("{}/v1/session", STACK.descriptor().control_plane);
        let answer = reqwest::Client::new().delete(url).bearer_auth(&self.session).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
}

/// What the control plane answers to somebody else than its operator.
async fn api(token: Option<&str>, path: &str, body: &Value) -> Value {
    let url = format!("{}{path}", STACK.descriptor().control_plane);
    let request = reqwest::Client::new().post(url).json(body);
    let request = token.into_iter().fold(request, |request, token| request.bearer_auth(token));
    let response = request.send().await.unwrap();
    assert!(response.status().is_success(), "{path}: {}", response.text().await.unwrap());
    response.json().await.unwrap()
}

async fn ends(client: &Client) {
    eventually("the session ends", async || client.simple_query("select 1").await.err().map(drop)).await;
}

#[tokio::test]
async fn a_member_gets_in_as_what_they_are() {
    let tenant = STACK.create_tenant("people-in", "eu").await;
    let person = Person::joins("people-in", &tenant, "viewer").await;
    let token = person.token(&tenant).await;
    assert_eq!(value(&token, "select current_database()::text").await, database_of(&tenant).await);
    let denied = refused(sql(&token, "create table t (n int)"), 400).await;
    assert_eq!(denied["code"], "42501");
    let client = connect(&with_token(&tenant, "token", &token)).await.unwrap();
    assert_eq!(
        client.batch_execute("create table t (n int)").await.unwrap_err().code().unwrap().code(),
        "42501"
    );
    let elsewhere = STACK.create_tenant("people-elsewhere", "eu").await;
    refused(sql(&token, "select 1").header("host", "people-elsewhere.localhost"), 403).await;
    assert_eq!(sqlstate(&with_token(&elsewhere, "token", &token)).await, "28000");
}

#[tokio::test]
async fn what_was_given_is_of_no_use_once_it_was_revoked() {
    let tenant = STACK.create_tenant("people-out", "eu").await;
    let (leaves, stays) =
        (Person::joins("leaves", &tenant, "member").await, Person::joins("stays", &tenant, "owner").await);
    let (token, other) = (leaves.token(&tenant).await, stays.token(&tenant).await);
    let client = connect(&with_token(&tenant, "token", &token)).await.unwrap();
    let bystander = connect(&with_token(&tenant, "token", &other)).await.unwrap();
    STACK.must(Method::DELETE, &path(&["tenants", &tenant.id, "members", &leaves.id]), None).await;
    eventually("the token is refused", async || {
        (answer(sql(&token, "select 1")).await.0 == 401).then_some(())
    })
    .await;
    assert_eq!(refused(sql(&token, "select 1"), 401).await["message"], "the token was revoked");
    assert_eq!(sqlstate(&with_token(&tenant, "token", &token)).await, "28P01");
    ends(&client).await;
    bystander.simple_query("select 1").await.unwrap();
    assert_eq!(answer(sql(&other, "select 1")).await.0, 200);
}

#[tokio::test]
async fn nobody_else_signs_for_the_control_plane() {
    let tenant = STACK.create_tenant("people-forged", "eu").await;
    let person = Person::joins("forged", &tenant, "owner").await;
    person.token(&tenant).await;
    let keys = STACK.client().list(&path(&["signing-keys"])).await.unwrap();
    let claims = json!({
        "iss": "tenantry", "aud": "tenantry-gateway", "sub": person.id, "tenant_id": tenant.id, "access": "owner",
        "sid": person.id, "session_exp": now() + 3600, "jti": "x", "iat": now(), "exp": now() + 300,
    });
    for algorithm in ["ES256", "EdDSA", "none", "HS256"] {
        let header = json!({ "alg": algorithm, "typ": "tenantry+jwt", "kid": keys[0]["id"] });
        let body = refused(sql(&Signer::generate().token(&header, &claims), "select 1"), 401).await;
        assert_eq!(body["message"], "the token is not valid", "{algorithm}");
    }
}
