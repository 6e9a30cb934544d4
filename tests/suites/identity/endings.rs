//! What becomes of connections that were opened by a token of the control plane's, however old the token is by then, and
//! of whatever has an end when nobody can be asked.

use super::connect;
use harness::{SharedStack, Stack, Tenant, eventually, wait_until};
use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::sync::LazyLock;
use tenantry::client::path;
use tenantry::dev::StackOptions;
use tokio_postgres::{Client, Config};

const PASSWORD: &str = "correct horse battery";

/// Tokens live for a second. Nothing becomes known by the lapse of time.
static BRIEF: LazyLock<SharedStack> = LazyLock::new(|| SharedStack::start(brief));

async fn brief() -> Stack {
    let options = StackOptions::ephemeral()
        .gateway(|gateway| gateway.routes.resync_interval_ms = super::NEVER_MS)
        .control_plane(|control_plane| control_plane.people.gateway_token_s = 1);
    Stack::start_with(options).await
}

/// A member of a tenant who has signed in.
struct Person<'a> {
    stack: &'a Stack,
    email: String,
    session: String,
}

impl<'a> Person<'a> {
    async fn joins(stack: &'a Stack, name: &str, tenant: &Tenant) -> Self {
        let email = format!("{name}@example.com");
        let account = json!({ "email": email, "display_name": name, "password": PASSWORD });
        let user = stack.must(Method::POST, &path(&["users"]), Some(&account)).await;
        let member = json!({ "user": user["id"], "role": "member" });
        stack.must(Method::POST, &path(&["tenants", &tenant.id, "members"]), Some(&member)).await;
        let mut person = Self { stack, email, session: String::new() };
        let account = json!({ "email": person.email, "password": PASSWORD });
        let signed_in = person.done(person.api(Method::POST, "/v1/session").json(&account)).await;
        signed_in["token"].as_str().unwrap().clone_into(&mut person.session);
        person
    }

    fn api(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.stack.descriptor().control_plane);
        let request = reqwest::Client::new().request(method, url);
        if self.session.is_empty() { request } else { request.bearer_auth(&self.session) }
    }

    async fn done(&self, request: RequestBuilder) -> Value {
        let response = request.send().await.unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "{status}: {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// A connection by a token, and when that token is over.
    async fn connects(&self, tenant: &Tenant) -> (Client, Timestamp) {
        eventually("the gateway knows the key", async || {
            let body = json!({ "tenant": tenant.slug });
            let switched = self.done(self.api(Method::POST, "/v1/session/switch").json(&body)).await;
            let config = with_token(tenant, switched["token"].as_str().unwrap());
            let client = connect(&config).await.ok()?;
            Some((client, switched["expires_at"].as_str().unwrap().parse().unwrap()))
        })
        .await
    }
}

fn with_token(tenant: &Tenant, token: &str) -> Config {
    let mut config = tenant.config();
    config.user("token").password(token);
    config
}

async fn ends(client: &Client) {
    eventually("the session ends", async || client.simple_query("select 1").await.err().map(drop)).await;
}

async fn is_past(at: Timestamp) {
    wait_until("that moment has passed", async || Timestamp::now() > at + SignedDuration::from_secs(1)).await;
}

#[tokio::test]
async fn what_an_old_token_opened_ends_with_what_it_was_given_for() {
    let stack: &Stack = &BRIEF;
    let tenant = stack.create_tenant("old-tokens", "eu").await;
    let [disabled, signs_out, changes, stays] = [
        Person::joins(stack, "disabled", &tenant).await,
        Person::joins(stack, "signs-out", &tenant).await,
        Person::joins(stack, "changes", &tenant).await,
        Person::joins(stack, "stays", &tenant).await,
    ];
    let (first, _) = disabled.connects(&tenant).await;
    let (second, _) = signs_out.connects(&tenant).await;
    let (third, _) = changes.connects(&tenant).await;
    let (bystander, until) = stays.connects(&tenant).await;
    is_past(until).await;
    for client in [&first, &second, &third, &bystander] {
        client.simple_query("select 1").await.unwrap();
    }
    stack.must(Method::PATCH, &path(&["users", &disabled.email]), Some(&json!({ "disabled": true }))).await;
    ends(&first).await;
    signs_out.done(signs_out.api(Method::DELETE, "/v1/session")).await;
    ends(&second).await;
    stack.must(Method::DELETE, &path(&["users", &changes.email, "sessions"]), None).await;
    ends(&third).await;
    bystander.simple_query("select 1").await.unwrap();
}

#[tokio::test]
async fn what_a_token_opened_lasts_no_longer_than_its_session() {
    let stack: &Stack = &BRIEF;
    let tenant = stack.create_tenant("session-over", "eu").await;
    let (brief, long) =
        (Person::joins(stack, "brief", &tenant).await, Person::joins(stack, "long", &tenant).await);
    let soon = "update catalog.sessions s set expires_at = now() + interval '6 seconds' from catalog.users u
                where u.id = s.user_id and u.email = $1";
    stack.catalog_admin().await.execute(soon, &[&brief.email]).await.unwrap();
    let ((client, _), (bystander, _)) = (brief.connects(&tenant).await, long.connects(&tenant).await);
    ends(&client).await;
    bystander.simple_query("select 1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signing_key_takes_what_it_opened_with_it_only_if_others_got_hold_of_it() {
    let stack = brief().await;
    let tenant = stack.create_tenant("signed", "eu").await;
    let person = Person::joins(&stack, "signed", &tenant).await;
    let (client, until) = person.connects(&tenant).await;
    let rotate = path(&["signing-keys", "rotate"]);
    stack.must(Method::POST, &rotate, Some(&json!({}))).await;
    // As if its time was over, and the next one's had come.
    let over = "update catalog.signing_keys set signs_until = signs_from, verifies_until = now() - interval '1 second'
                where signs_from <= now();
                update catalog.signing_keys set signs_from = now() where signs_from > now()";
    stack.catalog_admin().await.batch_execute(over).await.unwrap();
    is_past(until).await;
    // Another signs: the gateway knows of the change.
    let (other, _) = person.connects(&tenant).await;
    client.simple_query("select 1").await.unwrap();
    stack.must(Method::POST, &rotate, Some(&json!({ "compromised": true }))).await;
    ends(&client).await;
    ends(&other).await;
    let (again, _) = person.connects(&tenant).await;
    again.simple_query("select 1").await.unwrap();
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expires_does_so_while_the_catalog_is_away() {
    let mut stack = brief().await;
    let tenant = stack.create_tenant("away", "eu").await;
    let person = Person::joins(&stack, "away", &tenant).await;
    let (lasting, _) = person.connects(&tenant).await;
    // Soon, but not before the logins.
    let soon = "update catalog.sessions set expires_at = now() + interval '15 seconds'";
    stack.catalog_admin().await.execute(soon, &[]).await.unwrap();
    let (by_token, _) = person.connects(&tenant).await;
    let at = Timestamp::now() + SignedDuration::from_secs(15);
    let body = json!({ "kind": "password", "user_name": "soon-gone", "expires_at": at.to_string() });
    let made = stack.must(Method::POST, &path(&["tenants", &tenant.id, "credentials"]), Some(&body)).await;
    let config: Config = made["connection_string"].as_str().unwrap().parse().unwrap();
    let by_password = eventually("the password is known", async || connect(&config).await.ok()).await;
    stack.catalog().kill().await.expect("the catalog is killed");
    wait_until("the gateway has noticed", async || {
        stack.metric("tenantry_catalog_connected", &[]).await == 0.0
    })
    .await;
    ends(&by_token).await;
    ends(&by_password).await;
    lasting.simple_query("select 1").await.unwrap();
    stack.stop().await;
}
