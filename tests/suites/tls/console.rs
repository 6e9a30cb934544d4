//! The operators' console over TLS.

use crate::client::login;
use crate::{DOMAIN, STACK, STRICT, address, tls};
use harness::Stack;
use harness::wire::WireClient;

/// The password of the stack's operator.
fn password(stack: &Stack) -> String {
    let config: tokio_postgres::Config =
        stack.descriptor().gateway.console.parse().expect("a connection string");
    String::from_utf8(config.get_password().expect("a password").to_vec()).expect("text")
}

const OPERATOR: [(&str, &str); 2] = [("user", "tenantry"), ("database", "tenantry")];

#[tokio::test]
async fn operators_log_in_over_tls() {
    let mut client = tls().named(DOMAIN).request(address(&STACK)).await.expect("TLS");
    login(&mut client, &OPERATOR, &password(&STACK)).await.expect("let in");
    assert!(client.value("SHOW VERSION").await.starts_with("Tenantry "));
}

#[tokio::test]
async fn a_tenants_host_name_and_the_console_do_not_go_together() {
    let _tenant = STACK.create_tenant("hosted", "eu").await;
    let mut client = tls().named("hosted.db.example.com").request(address(&STACK)).await.expect("TLS");
    let error = login(&mut client, &OPERATOR, &password(&STACK)).await.expect_err("two names");
    assert_eq!(error.sqlstate(), "28000");
}

#[tokio::test]
async fn where_tls_is_demanded_operators_need_it_too() {
    let config = STRICT.descriptor().gateway.console.parse().expect("a connection string");
    let error = WireClient::login(&config).await.err().expect("not in clear");
    assert_eq!((error.sqlstate().as_str(), error.text().contains("TLS")), ("28000", true));
}
