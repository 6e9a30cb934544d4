//! Who gets in, and that nobody gets anywhere else.

use super::{STACK, STATS, admin, console, run, show, stats, tenant};
use harness::wire::{Message, WireClient};
use harness::{ChildProcess, Stack};
use tenantry::dev::StackOptions;

async fn refused(config: &tokio_postgres::Config) -> Message {
    match WireClient::login(config).await {
        Ok(_) => panic!("let in: {config:?}"),
        Err(message) => message,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operator_logs_in_with_its_own_password() {
    for config in [admin(), stats()] {
        let mut client = console(&config).await;
        assert!(
            show(&mut client, "SHOW VERSION").await[0]["version"]
                .as_deref()
                .unwrap()
                .starts_with("Tenantry ")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_user_and_a_wrong_password_look_alike() {
    let mut wrong = stats();
    wrong.password("wrong");
    let mut unknown = stats();
    unknown.user("nobody");
    let (wrong, unknown) = (refused(&wrong).await, refused(&unknown).await);
    assert_eq!((wrong.sqlstate(), unknown.sqlstate()), ("28P01".into(), "28P01".into()));
    assert_eq!(wrong.text().replace(STATS.0, "nobody"), unknown.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_user_is_a_stranger_here_and_an_operator_one_there() {
    let tenant = tenant("strangers", 2).await;
    let mut to_console = tenant.config();
    to_console.dbname("tenantry");
    assert_eq!(refused(&to_console).await.sqlstate(), "28P01");
    let mut with_suffix = to_console.clone();
    with_suffix.user(format!("{}.{}", tenant.config().get_user().unwrap(), tenant.slug));
    assert_eq!(refused(&with_suffix).await.sqlstate(), "28P01");
    let mut to_tenant = admin();
    to_tenant.dbname(&tenant.slug);
    assert_eq!(refused(&to_tenant).await.sqlstate(), "28P01");
    // Whatever names a tenant tenantry without naming the database so is an unknown tenant.
    let parameters = [("user", "tenantry"), ("database", "x"), ("options", "-c tenant=tenantry")];
    let by_option = WireClient::login_as(&admin(), &parameters).await;
    assert_eq!(by_option.err().expect("refused").sqlstate(), "28000");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tenant_can_take_the_consoles_name() {
    let body = serde_json::json!({ "slug": "tenantry", "region": "eu" });
    let path = tenantry::client::path(&["tenants"]);
    assert!(STACK.client().change(reqwest::Method::POST, &path, Some(&body)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_bounded_and_a_console_without_users_is_off() {
    let stack = Stack::start_with(StackOptions::ephemeral().gateway(|gateway| {
        gateway.console.session_limit = 1;
    }))
    .await;
    let config: tokio_postgres::Config = stack.descriptor().gateway.console.parse().unwrap();
    let mut first = console(&config).await;
    assert_eq!(refused(&config).await.sqlstate(), "53300");
    run(&mut first, "SHOW POOLS").await;
    drop(first);
    harness::wait_until("the place is free", async || WireClient::login(&config).await.is_ok()).await;
    stack.stop().await;

    let stack =
        Stack::start_with(StackOptions::ephemeral().gateway(|gateway| gateway.console.users.clear())).await;
    let config: tokio_postgres::Config = stack.descriptor().gateway.console.parse().unwrap();
    let refused = refused(&config).await;
    assert_eq!(refused.sqlstate(), "0A000");
    assert!(refused.text().contains("console is off"), "{}", refused.text());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_says_nothing_ends() {
    let stack = Stack::start_with(StackOptions::ephemeral().gateway(|gateway| {
        gateway.console.idle_timeout_ms = 1_000;
    }))
    .await;
    let mut client = console(&super::admin_of(&stack)).await;
    let last = client.until_end().await.expect("an orderly end");
    assert_eq!(last[0].sqlstate(), "57P05");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_came_and_what_was_said_is_in_the_log() {
    let mut stack = Stack::start().await;
    stack.stop_gateway().await.expect("it stops");
    let config = stack.gateway_config().display().to_string();
    let gateway = ChildProcess::tenantry(["gateway", "--config", &config]);
    let operator = super::admin_of(&stack);
    let mut client =
        harness::eventually("the gateway serves", async || WireClient::login(&operator).await.ok()).await;
    run(&mut client, "SHOW LISTS").await;
    assert_eq!(super::sqlstate(&mut client, "PAUSE nobody-is-called-so").await, "3D000");
    let mut wrong = operator.clone();
    wrong.user("mallory");
    assert_eq!(refused(&wrong).await.sqlstate(), "28P01");
    let said = gateway.said();
    for (what, who) in [
        ("an operator has logged in", "tenantry"),
        ("Show(Lists, None)", "tenantry"),
        ("nobody-is-called-so", "tenantry"),
        ("a login at the console was refused", "mallory"),
    ] {
        let line = said.lines().find(|line| line.contains(what) && line.contains("console"));
        let line = line.unwrap_or_else(|| panic!("{what} is not logged: {said}"));
        assert!(line.contains(who) && line.contains("127.0.0.1:"), "{line}");
    }
    stack.stop().await;
}
