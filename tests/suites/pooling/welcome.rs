//! What a client is told when it logs in is what its server says now.

use crate::{STACK, run, tenant, value};
use harness::wire::WireClient;
use harness::{Stack, Tenant, wait_until};
use pgwire::backend::parameter_status;

/// Logs in, and says what the server reported of a parameter.
async fn reported(tenant: &Tenant, parameter: &str) -> (WireClient, String) {
    let config = tenant.config();
    let mut client = WireClient::dial(&config).await.expect("the gateway listens");
    client.startup(&[("user", "app"), ("database", &tenant.slug)]).await.expect("sent");
    client.authenticate(config.get_password().expect("a password")).await.expect("let in");
    let greeting = client.until_ready().await.expect("a greeting");
    let statuses = greeting.iter().filter(|message| message.tag == b'S');
    let mut found = statuses.filter_map(|message| parameter_status(&message.body).ok());
    let (_, value) = found.find(|(name, _)| *name == parameter.as_bytes()).expect("a reported parameter");
    let value = String::from_utf8(value.to_vec()).expect("text");
    (client, value)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_default_is_told_to_whoever_logs_in_after_the_server_has_said_so() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "welcome", "pair").await;
    let (mut early, before) = reported(&tenant, "TimeZone").await;
    assert_ne!(before, "Asia/Tokyo");
    assert_eq!(reported(&tenant, "TimeZone").await.1, before);
    let (inside, role) = (stack.inside(&tenant).await, stack.physical(&tenant).await.role);
    inside.batch_execute(&format!("alter role {role} set timezone = 'Asia/Tokyo'")).await.expect("may");
    let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = $1";
    wait_until("its connections have ended", async || {
        inside.query_one(end, &[&role]).await.expect("may").get::<_, i64>(0) == 0
    })
    .await;
    run(&mut early, "select 1").await;
    let (mut late, now) = reported(&tenant, "TimeZone").await;
    assert_eq!(now, "Asia/Tokyo");
    assert_eq!(value(&mut late, "show timezone").await, "Asia/Tokyo");
}
