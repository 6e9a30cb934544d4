//! People of one's own, from the invite to the database.

use super::{STACK, answer, refused, register, sql, value};
use harness::{Oidc, Tenant, eventually};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tenantry::client::path;

const PASSWORD: &str = "correct horse battery";

fn api(token: Option<&str>, method: Method, path: &str) -> RequestBuilder {
    let url = format!("{}{path}", STACK.descriptor().control_plane);
    let request = reqwest::Client::new().request(method, url);
    token.into_iter().fold(request, |request, token| request.bearer_auth(token))
}

async fn done(request: RequestBuilder) -> Value {
    let (status, body) = answer(request).await;
    assert!((200..300).contains(&status), "{status}: {body:#}");
    body
}

/// Somebody who has accepted an invite: their id, and what shows their session.
async fn invited(tenant: &Tenant, name: &str, role: &str) -> (String, String) {
    let email = format!("{name}@people.example");
    let invites = path(&["tenants", &tenant.id, "invites"]);
    let invite = STACK.must(Method::POST, &invites, Some(&json!({ "email": email, "role": role }))).await;
    let body = json!({ "token": invite["token"], "display_name": name, "password": PASSWORD });
    let accepted = done(api(None, Method::POST, "/v1/invites/accept").json(&body)).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&accepted["user"]["id"]), text(&accepted["token"]))
}

async fn switch(session: &str, tenant: &Tenant) -> String {
    let request =
        api(Some(session), Method::POST, "/v1/session/switch").json(&json!({ "tenant": tenant.slug }));
    let token = done(request).await["token"].as_str().unwrap().to_owned();
    eventually("the gateway knows the key", async || {
        (answer(sql(&token, "select 1")).await.0 == 200).then_some(())
    })
    .await;
    token
}

/// Waits until the gateway refuses a token that it took before.
async fn refuses(token: &str) {
    eventually("the token is refused", async || {
        (answer(sql(token, "select 1")).await.0 == 401).then_some(())
    })
    .await;
}

#[tokio::test]
async fn one_session_leads_to_each_tenant_as_what_one_is_there() {
    let (here, there) =
        (STACK.create_tenant("both-here", "eu").await, STACK.create_tenant("both-there", "us").await);
    let (user, session) = invited(&here, "both", "admin").await;
    let member = json!({ "user": user, "role": "viewer" });
    STACK.must(Method::POST, &path(&["tenants", &there.id, "members"]), Some(&member)).await;
    let (mine, yours) = (switch(&session, &here).await, switch(&session, &there).await);
    assert_eq!(value(&mine, "select current_database()::text").await, super::database_of(&here).await);
    assert_eq!(value(&yours, "select current_database()::text").await, super::database_of(&there).await);
    assert_eq!(answer(sql(&mine, "create table notes (n int)")).await.0, 200);
    assert_eq!(refused(sql(&yours, "create table notes (n int)"), 400).await["code"], "42501");
}

#[tokio::test]
async fn another_role_is_in_force_at_once_and_signing_out_ends_what_was_given() {
    let tenant = STACK.create_tenant("roles-change", "eu").await;
    let (user, session) = invited(&tenant, "promoted", "viewer").await;
    let (_, bystander) = invited(&tenant, "bystander", "viewer").await;
    let (old, others) = (switch(&session, &tenant).await, switch(&bystander, &tenant).await);
    let member = path(&["tenants", &tenant.id, "members", &user]);
    STACK.must(Method::PATCH, &member, Some(&json!({ "role": "admin" }))).await;
    refuses(&old).await;
    let new = switch(&session, &tenant).await;
    assert_eq!(answer(sql(&new, "create table notes (n int)")).await.0, 200);

    done(api(Some(&session), Method::DELETE, "/v1/session")).await;
    refuses(&new).await;
    assert_eq!(
        answer(
            api(Some(&session), Method::POST, "/v1/session/switch").json(&json!({ "tenant": tenant.slug }))
        )
        .await
        .0,
        401
    );
    assert_eq!(answer(sql(&others, "select 1")).await.0, 200, "and nobody else's");
}

#[tokio::test]
async fn a_providers_token_signs_in_whoever_it_is_on_record_as() {
    let tenant = STACK.create_tenant("by-provider", "eu").await;
    let oidc = Oidc::start().await;
    register(&oidc, json!({ "shape": "tenant" })).await;
    let user = json!({ "email": "idp@people.example", "display_name": "By provider" });
    let user = STACK.must(Method::POST, &path(&["users"]), Some(&user)).await;
    let id = user["id"].as_str().unwrap();
    let member = json!({ "user": id, "role": "member" });
    STACK.must(Method::POST, &path(&["tenants", &tenant.id, "members"]), Some(&member)).await;
    let sign_in = |token: &str| api(None, Method::POST, "/v1/session").json(&json!({ "token": token }));
    let token = oidc.token(&json!({ "sub": "subject-1", "email": "idp@people.example" }));
    refused(sign_in(&token), 401).await;
    let identity = json!({ "issuer": oidc.iss(), "subject": "subject-1" });
    STACK.must(Method::POST, &path(&["users", id, "identities"]), Some(&identity)).await;
    let session = done(sign_in(&token)).await;
    assert_eq!((&session["session"]["user"], &session["session"]["method"]), (&json!(id), &json!("token")));
    let token = switch(session["token"].as_str().unwrap(), &tenant).await;
    assert_eq!(value(&token, "select current_database()::text").await, super::database_of(&tenant).await);
    let body = refused(sign_in(&oidc.token(&json!({ "sub": "subject-2" }))), 401).await;
    assert_eq!(body["type"], "urn:tenantry:problem:sign-in-refused");
}
