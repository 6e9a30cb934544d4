//! How a token opens a tenant, and what its holder may do there.

use super::{
    STACK, answer, connect, database_of, member_of, refused, register, sql, sqlstate, value, with_token,
};
use harness::wire::WireClient;
use harness::{Oidc, Tool, eventually, python, run};
use serde_json::json;
use tokio::process::Command;

#[tokio::test]
async fn a_token_opens_its_tenant_on_every_way_in() {
    let tenant = STACK.create_tenant("ways", "eu").await;
    let oidc = Oidc::start().await;
    register(&oidc, json!({})).await;
    let (token, database) = (oidc.token(&member_of(&tenant)), database_of(&tenant).await);
    let query = "select current_database()::text";
    eventually("the issuer is known", async || (answer(sql(&token, query)).await.0 == 200).then_some(()))
        .await;
    assert_eq!(value(&token, query).await, database);
    for (user, dbname) in [("token", "ways"), ("token.ways", "token.ways"), ("token", "token")] {
        let mut config = with_token(&tenant, user, &token);
        config.dbname(dbname);
        let client = connect(&config).await.unwrap();
        let row = client.query_one(query, &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), database, "{user} {dbname}");
    }
    // Whatever the user is called, if the client says so.
    let mut config = with_token(&tenant, "somebody", &token);
    config.options("-c tenantry.auth=token");
    connect(&config).await.unwrap();
}

#[tokio::test]
async fn libpqs_clients_send_a_token_as_their_password() {
    let tenant = STACK.create_tenant("libpq", "eu").await;
    let oidc = Oidc::start().await;
    register(&oidc, json!({})).await;
    let token = oidc.token(&member_of(&tenant));
    let port = tenant.config().get_ports()[0];
    let uri = format!("postgres://token:{token}@127.0.0.1:{port}/libpq");
    eventually("the issuer is known", async || {
        let output =
            Tool::Psql.run(["--no-align", "--tuples-only", "--command", "select 40 + 2", &uri], "").await;
        (output.code == Some(0) && output.stdout.trim() == "42").then_some(())
    })
    .await;
    let Some(interpreter) = python("psycopg").await else { return };
    let script = "import sys, psycopg\n\
                  with psycopg.connect(sys.argv[1]) as connection:\n\
                  \tprint(connection.execute('select 6 * 7').fetchone()[0])\n";
    let mut command = Command::new(interpreter);
    command.args(["-c", script, &uri]);
    assert_eq!(run(command, "").await.success().trim(), "42");
}

#[tokio::test]
async fn a_role_is_what_postgresql_lets_its_holder_do() {
    let tenant = STACK.create_tenant("token-roles", "eu").await;
    let oidc = Oidc::start().await;
    register(&oidc, json!({})).await;
    let with_role = |role: &str| oidc.token(&json!({ "tenant_id": tenant.slug, "role": role }));
    let create = "create table notes (id int)";
    eventually("the owner is let in", async || {
        (answer(sql(&with_role("owner"), create)).await.0 == 200).then_some(())
    })
    .await;
    let denied = |body: serde_json::Value| assert_eq!(body["code"], "42501", "{body:#}");
    assert_eq!(answer(sql(&with_role("member"), "insert into notes values (1)")).await.0, 200);
    denied(refused(sql(&with_role("member"), "alter table notes add x int"), 400).await);
    assert_eq!(value(&with_role("viewer"), "select count(*)::text from notes").await, "1");
    denied(refused(sql(&with_role("viewer"), "insert into notes values (2)"), 400).await);
    let reader = connect(&with_token(&tenant, "token", &with_role("viewer"))).await.unwrap();
    let error = reader.batch_execute("delete from notes").await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "42501");

    let nobody = refused(sql(&with_role("intern"), "select 1"), 403).await;
    assert_eq!(nobody["message"], "the token gives no role");
    assert_eq!(sqlstate(&with_token(&tenant, "token", &with_role("intern"))).await, "42501");
}

#[tokio::test]
async fn a_token_is_no_way_to_another_tenant() {
    let mine = STACK.create_tenant("token-mine", "eu").await;
    let other = STACK.create_tenant("token-other", "eu").await;
    let oidc = Oidc::start().await;
    register(&oidc, json!({})).await;
    let token = oidc.token(&member_of(&mine));
    eventually("the issuer is known", async || {
        (answer(sql(&token, "select 1")).await.0 == 200).then_some(())
    })
    .await;
    let anomalies = async |listener: &str| {
        let labels = [format!("listener=\"{listener}\""), "first=\"token\"".to_owned()];
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        STACK.metric("tenantry_cross_tenant_anomalies_total", &labels).await
    };
    let before = (anomalies("http").await, anomalies("pg").await);
    let body = refused(sql(&token, "select 1").header("host", "token-other.localhost"), 403).await;
    assert_eq!(
        (body["code"].as_str(), body["message"].as_str().map(|text| text.contains("token-other"))),
        (Some("28000"), Some(false))
    );
    assert_eq!(sqlstate(&with_token(&other, "token", &token)).await, "28000");
    assert_eq!((anomalies("http").await, anomalies("pg").await), (before.0 + 1.0, before.1 + 1.0));
    // The right host is fine, and a header that anybody can send is not listened to.
    assert_eq!(answer(sql(&token, "select 1").header("host", "token-mine.localhost")).await.0, 200);
    refused(sql(&token, "select 1").header("x-tenant-id", "token-other"), 403).await;
    // A tenant that is not there, and one that it does not name, look alike.
    let unknown =
        refused(sql(&oidc.token(&json!({"tenant_id": "nobody", "role": "owner"})), "select 1"), 401).await;
    let nameless = refused(sql(&oidc.token(&json!({"role": "owner"})), "select 1"), 401).await;
    assert_eq!(unknown, nameless);
}

#[tokio::test]
async fn whoever_has_a_password_is_not_asked_for_it_in_clear() {
    const CLEARTEXT: &[u8] = &[0, 0, 0, 3];
    const SASL: &[u8] = &[0, 0, 0, 10];
    let tenant = STACK.create_tenant("asked", "eu").await;
    let asked = async |parameters: &[(&str, &str)]| {
        let mut client = WireClient::dial(&tenant.config()).await.unwrap();
        client.startup(parameters).await.unwrap();
        let message = client.message().await.unwrap();
        assert_eq!(message.tag, b'R', "{message:?}");
        message.body[..4].to_vec()
    };
    assert_eq!(asked(&[("user", "app"), ("database", "asked")]).await, SASL);
    assert_eq!(asked(&[("user", "tokens"), ("database", "asked")]).await, SASL);
    assert_eq!(asked(&[("user", "token"), ("database", "asked")]).await, CLEARTEXT);
    assert_eq!(asked(&[("user", "token"), ("database", "nobody")]).await, CLEARTEXT);
    let option = ("options", "-c tenantry.auth=token");
    assert_eq!(asked(&[("user", "app"), ("database", "asked"), option]).await, CLEARTEXT);
}
