//! Features: what tenants may use, and how soon a change is in force.

use super::STACK;
use super::keys::make;
use harness::{Knock, Tenant, eventually, log_in};
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{ETAG, IF_NONE_MATCH};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tenantry::client::path;
use tokio_postgres::Config;

async fn operate(method: Method, segments: &[&str], body: Option<Value>) -> Value {
    STACK.must(method, &path(segments), body.as_ref()).await
}

/// Says of one tenant whether it has a feature.
async fn say(tenant: &Tenant, feature: &str, body: Value) {
    operate(Method::PUT, &["tenants", &tenant.id, "features", feature], Some(body)).await;
}

/// What the control plane says of a tenant and a feature: whether it has it, and why.
async fn told(tenant: &Tenant, feature: &str) -> (bool, String) {
    let all = operate(Method::GET, &["tenants", &tenant.id, "features"], None).await;
    let one = all["items"].as_array().unwrap().iter().find(|one| one["feature"] == feature).unwrap().clone();
    (one["enabled"].as_bool().unwrap(), one["reason"].as_str().unwrap().to_owned())
}

/// What the gateway says of the tenant's features to a holder of its key.
async fn at_the_gateway(key: &str) -> Value {
    let url = format!("{}/features", STACK.descriptor().gateway.http);
    let answer = reqwest::Client::new().get(url).bearer_auth(key).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.unwrap()
}

/// Waits until the gateway says so of the feature.
async fn is_at_the_gateway(key: &str, feature: &str, expected: Option<bool>) {
    let expected = expected.map_or(Value::Null, Value::from);
    eventually("the gateway has heard of it", async || {
        (at_the_gateway(key).await["features"][feature] == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_tenants_own_goes_before_its_plans_and_that_before_the_percentage_and_the_default() {
    let tenant = STACK.create_tenant("featured", "eu").await;
    let key = tenant.api_key.clone();
    let plan =
        operate(Method::GET, &["tenants", &tenant.id], None).await["plan"].as_str().unwrap().to_owned();
    let name = "order-of-precedence";
    let made = json!({ "name": name, "description": "a trial", "default": false });
    operate(Method::POST, &["features"], Some(made)).await;
    is_at_the_gateway(&key, name, Some(false)).await;
    assert_eq!(told(&tenant, name).await, (false, "default".to_owned()));

    let set = async |body| operate(Method::PATCH, &["features", name], Some(body)).await;
    set(json!({ "percentage": 100 })).await;
    is_at_the_gateway(&key, name, Some(true)).await;
    assert_eq!(told(&tenant, name).await, (true, "percentage".to_owned()));
    set(json!({ "plans": { plan.as_str(): false } })).await;
    is_at_the_gateway(&key, name, Some(false)).await;
    assert_eq!(told(&tenant, name).await, (false, "plan".to_owned()));
    say(&tenant, name, json!({ "enabled": true })).await;
    is_at_the_gateway(&key, name, Some(true)).await;
    assert_eq!(told(&tenant, name).await, (true, "tenant".to_owned()));

    operate(Method::DELETE, &["tenants", &tenant.id, "features", name], None).await;
    is_at_the_gateway(&key, name, Some(false)).await;
    operate(Method::DELETE, &["features", name], None).await;
    is_at_the_gateway(&key, name, None).await;
}

#[tokio::test]
async fn what_is_given_for_a_while_ends_by_itself() {
    let tenant = STACK.create_tenant("for-a-while", "eu").await;
    let key = tenant.api_key.clone();
    operate(Method::POST, &["features"], Some(json!({ "name": "for-a-while" }))).await;
    let soon = Timestamp::now() + SignedDuration::from_secs(3);
    say(&tenant, "for-a-while", json!({ "enabled": true, "expires_at": soon.to_string() })).await;
    // The end is known to the gateway beforehand: nobody tells it.
    eventually("it has ended", async || {
        let is_over = Timestamp::now() > soon;
        let at_the_gateway = at_the_gateway(&key).await;
        (is_over && at_the_gateway["features"]["for-a-while"] == json!(false)).then_some(())
    })
    .await;
    assert_eq!(told(&tenant, "for-a-while").await, (false, "default".to_owned()));
}

#[tokio::test]
async fn an_answer_that_is_known_is_not_sent_again() {
    let tenant = STACK.create_tenant("known-features", "eu").await;
    let key = tenant.api_key.clone();
    let url = format!("{}/features", STACK.descriptor().gateway.http);
    let ask = async |known: &str| {
        let request = reqwest::Client::new().get(&url).bearer_auth(&key).header(IF_NONE_MATCH, known);
        request.send().await.unwrap()
    };
    // Others' features come and go beside this.
    eventually("nothing has changed between two questions", async || {
        let tag = ask("\"none\"").await.headers()[ETAG].to_str().unwrap().to_owned();
        (ask(&tag).await.status() == StatusCode::NOT_MODIFIED).then_some(())
    })
    .await;
    let stranger = reqwest::Client::new().get(&url).bearer_auth("tnt_nobody").send().await.unwrap();
    assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn http_is_refused_to_who_does_not_have_it() {
    let tenant = STACK.create_tenant("without-http", "eu").await;
    let key = tenant.api_key.clone();
    say(&tenant, "http", json!({ "enabled": false })).await;
    let knock = Knock::new().bearer(&key);
    let refused = eventually("it is refused", async || {
        let (status, body) = knock.ask(&STACK, "select 1").await;
        (status == 403).then_some(body)
    })
    .await;
    assert_eq!(refused["code"], "0A000");
    assert!(refused["message"].as_str().unwrap().contains("\"http\""), "{refused}");
    tenant.connect().await.simple_query("select 1").await.unwrap();
}

#[tokio::test]
async fn session_mode_is_refused_to_who_does_not_have_it_and_who_has_begun_goes_on() {
    let tenant = STACK.create_tenant("without-sessions", "eu").await;
    let body = json!({ "kind": "password", "user_name": "keeper", "pool_mode": "session" });
    let made = make(&tenant, body).await;
    let config: Config = made["connection_string"].as_str().unwrap().parse().unwrap();
    let begun = eventually("the password is known", async || log_in(&config).await.ok()).await;
    say(&tenant, "session-mode", json!({ "enabled": false })).await;
    eventually("it is refused", async || {
        log_in(&config).await.err().filter(|code| code == "0A000").map(drop)
    })
    .await;
    begun.simple_query("select 1").await.unwrap();
    tenant.connect().await.simple_query("select 1").await.unwrap();
}

#[tokio::test]
async fn listen_is_refused_to_who_does_not_have_it_however_it_is_said() {
    let tenant = STACK.create_tenant("without-listen", "eu").await;
    let client = tenant.connect().await;
    client.batch_execute("listen before").await.unwrap();
    say(&tenant, "listen", json!({ "enabled": false })).await;
    let refused = eventually("it is refused", async || client.batch_execute("listen a").await.err()).await;
    assert_eq!(refused.code().unwrap().code(), "0A000");
    assert!(refused.as_db_error().unwrap().message().contains("\"listen\""));
    for sql in ["/* so */ listen a", "LISTEN a", "-- so\nlisten a"] {
        let refused = client.execute(sql, &[]).await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "0A000", "{sql}");
    }
    let refused = client.batch_execute("select 1; listen b").await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "0A000");
    client.batch_execute("unlisten before; select 1").await.unwrap();
    say(&tenant, "listen", json!({ "enabled": true })).await;
    eventually("it is served again", async || client.batch_execute("listen c").await.ok()).await;
}

#[tokio::test]
async fn listen_is_refused_in_session_mode_too_and_where_it_cannot_be_told() {
    let tenant = STACK.create_tenant("without-listen-in-sessions", "eu").await;
    let body = json!({ "kind": "password", "user_name": "keeper", "pool_mode": "session" });
    let made = make(&tenant, body).await;
    let config: Config = made["connection_string"].as_str().unwrap().parse().unwrap();
    let session = eventually("the password is known", async || log_in(&config).await.ok()).await;
    let pooled = tenant.connect().await;
    let padding = " ".repeat(1024 * 1024);
    let unread = [format!("select 1{padding}; listen a"), format!("/*{padding}*/ listen a")];
    session.batch_execute(&unread[0]).await.unwrap();
    say(&tenant, "listen", json!({ "enabled": false })).await;
    for client in [&session, &pooled] {
        let code = |refused: tokio_postgres::Error| refused.code().unwrap().code().to_owned();
        let refused =
            eventually("it is refused", async || client.batch_execute("listen a").await.err()).await;
        assert_eq!(code(refused), "0A000");
        for sql in ["listen a", "\u{b}listen a"] {
            assert_eq!(code(client.execute(sql, &[]).await.unwrap_err()), "0A000", "{sql}");
        }
        for sql in &unread {
            assert_eq!(code(client.batch_execute(sql).await.unwrap_err()), "0A000", "{sql:.20}");
        }
        client.execute("select 1", &[]).await.unwrap();
    }
    let refused = session.execute(&unread[1], &[]).await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "0A000");
}

#[tokio::test]
async fn the_gateways_own_features_stay() {
    let delete = async |name: &str| {
        let path = path(&["features", name]);
        STACK.client().change(Method::DELETE, &path, None).await.err().unwrap().to_string()
    };
    assert!(delete("http").await.contains("the gateway's own"));
    assert!(delete("no-such-feature").await.contains("no such feature"));
}
