//! Passwords and keys: several at once, for a while, until they are revoked.

use super::STACK;
use harness::{Tenant, eventually, wait_until};
use reqwest::Method;
use serde_json::{Value, json};
use tenantry::client::path;
use tokio_postgres::{Config, NoTls};

async fn create(tenant: &Tenant, body: Value) -> Value {
    let path = path(&["tenants", &tenant.slug, "credentials"]);
    STACK.must(Method::POST, &path, Some(&body)).await
}

/// A tenant as the holder of another credential knows it.
fn held_by(tenant: &Tenant, created: &Value) -> Tenant {
    let text = |key: &str| created[key].as_str().map(str::to_owned);
    Tenant {
        connection_string: text("connection_string").unwrap_or_default(),
        api_key: text("api_key").unwrap_or_default(),
        ..tenant.clone()
    }
}

async fn revoke(tenant: &Tenant, created: &Value) {
    let id = created["credential"]["id"].as_str().expect("credentials have ids");
    STACK.must(Method::DELETE, &path(&["tenants", &tenant.slug, "credentials", id]), None).await;
}

async fn expire_soon(created: &Value) {
    let id = created["credential"]["id"].as_str().expect("credentials have ids");
    let sql = format!(
        "update catalog.credentials set expires_at = clock_timestamp() + interval '1 second' where id = '{id}'"
    );
    STACK.catalog_admin().await.batch_execute(&sql).await.expect("an administrator may");
}

async fn assert_refused(tenant: &Tenant) {
    let error = eventually("the credential is refused", async || tenant.try_connect().await.err()).await;
    assert_eq!(error.code().map(|code| code.code()), Some("28P01"), "{error}");
}

#[tokio::test]
async fn the_right_password_opens_and_no_other_does() {
    let tenant = STACK.create_tenant("passwords", "eu").await;
    let other = STACK.create_tenant("other-passwords", "eu").await;
    tenant.connect().await.batch_execute("select 1").await.expect("let in");
    let right = tenant.password();
    for wrong in ["", "x", &right[1..], &format!("{right} "), &other.password()] {
        let mut config: Config = tenant.config();
        config.password(wrong);
        let error = config.connect(NoTls).await.err().expect("refused");
        assert_eq!(error.code().map(|code| code.code()), Some("28P01"), "{wrong:?}");
    }
}

#[tokio::test]
async fn a_user_may_have_several_passwords_so_that_they_can_be_rotated() {
    let tenant = STACK.create_tenant("rotating", "eu").await;
    let second = create(&tenant, json!({ "kind": "password" })).await;
    let third = create(&tenant, json!({ "kind": "password", "user_name": "app" })).await;
    let holders = [tenant.clone(), held_by(&tenant, &second), held_by(&tenant, &third)];
    for holder in &holders {
        eventually("each password opens", async || holder.try_connect().await.ok()).await;
    }
    let other_user = create(&tenant, json!({ "kind": "password", "user_name": "reports" })).await;
    let other_user = held_by(&tenant, &other_user);
    eventually("another user gets in", async || other_user.try_connect().await.ok()).await;
    let mut mixed = other_user.config();
    mixed.password(tenant.password());
    assert!(mixed.connect(NoTls).await.is_err(), "one user's password opened another");

    revoke(&tenant, &second).await;
    assert_refused(&holders[1]).await;
    for holder in [&holders[0], &holders[2], &other_user] {
        holder.connect().await.batch_execute("select 1").await.expect("the others are still good");
    }
}

#[tokio::test]
async fn several_passwords_open_over_http_too() {
    let tenant = STACK.create_tenant("rotating-http", "eu").await;
    let second = held_by(&tenant, &create(&tenant, json!({ "kind": "password" })).await);
    let http = reqwest::Client::new();
    for holder in [&tenant, &second] {
        wait_until("each password opens", async || {
            let request = http
                .post(&tenant.http_endpoint)
                .header("Neon-Connection-String", &holder.connection_string)
                .json(&json!({ "query": "select 1" }));
            request.send().await.expect("an answer").status().is_success()
        })
        .await;
    }
}

#[tokio::test]
async fn a_revoked_or_expired_password_opens_no_more() {
    let tenant = STACK.create_tenant("revoking", "eu").await;
    let later = json!({ "kind": "password", "user_name": "guest", "expires_at": "2999-01-01T00:00:00Z" });
    let (expiring, revoked) = (
        create(&tenant, later.clone()).await,
        create(
            &tenant,
            json!({
                "kind": "password", "user_name": "visitor"
            }),
        )
        .await,
    );
    for created in [&expiring, &revoked] {
        let holder = held_by(&tenant, created);
        eventually("it opens at first", async || holder.try_connect().await.ok()).await;
    }
    revoke(&tenant, &revoked).await;
    assert_refused(&held_by(&tenant, &revoked)).await;
    // At its hour nobody is notified: the gateway has to look at its own clock.
    expire_soon(&expiring).await;
    assert_refused(&held_by(&tenant, &expiring)).await;
    tenant.connect().await.batch_execute("select 1").await.expect("the first password is still good");
    let past = json!({ "kind": "password", "expires_at": "2001-01-01T00:00:00Z" });
    let path = path(&["tenants", &tenant.slug, "credentials"]);
    let answer = STACK.client().change(Method::POST, &path, Some(&past)).await;
    assert_eq!(answer.expect_err("it would open nothing").kind(), Some("invalid-field"));
}

#[tokio::test]
async fn a_revoked_or_expired_key_opens_no_more() {
    let tenant = STACK.create_tenant("keys", "eu").await;
    let expiring = create(&tenant, json!({ "kind": "api-key", "expires_at": "2999-01-01T00:00:00Z" })).await;
    let revoked = create(&tenant, json!({ "kind": "api-key" })).await;
    let status = async |created: &Value| {
        let (status, body) = STACK.http_query(&held_by(&tenant, created), "select 1", &[]).await;
        if status == 401 {
            assert_eq!(body["code"], "28P01", "{body:#}");
        }
        status
    };
    for created in [&expiring, &revoked] {
        wait_until("it opens at first", async || status(created).await == 200).await;
    }
    revoke(&tenant, &revoked).await;
    expire_soon(&expiring).await;
    for created in [&expiring, &revoked] {
        wait_until("it opens no more", async || status(created).await == 401).await;
    }
    assert_eq!(STACK.http_query(&tenant, "select 1", &[]).await.0, 200, "the first key is still good");
}
