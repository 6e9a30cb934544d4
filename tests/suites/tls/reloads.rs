//! New certificates in place of old ones, under clients that stay.

use crate::certs::{Authority, Files, Signed};
use crate::client::{Tls, login, server_certificate};
use crate::{DOMAIN, RELOAD_INTERVAL_MS, address, startup};
use config::{TlsConfig, TlsListenerMode};
use harness::{Stack, eventually};
use tenantry::dev::StackOptions;

async fn shown(stack: &Stack, tls: &Tls) -> Vec<u8> {
    let mut client = tls.request(address(stack)).await.expect("TLS");
    server_certificate(&mut client)
}

async fn reloads(stack: &Stack, result: &str) -> f64 {
    stack.metric("tenantry_tls_reloads_total", &[&format!("result=\"{result}\"")]).await
}

async fn until_shown(stack: &Stack, tls: &Tls, expected: &Signed) {
    eventually("the new certificate is shown", async || {
        (shown(stack, tls).await == expected.der).then_some(())
    })
    .await;
}

#[tokio::test]
async fn new_certificates_are_used_and_bad_ones_are_not() {
    let (authority, files) = (Authority::new("renewing"), Files::new("reload"));
    let first = authority.sign(&[DOMAIN], true);
    let settings = TlsConfig {
        mode: TlsListenerMode::Allow,
        certificates: vec![files.write_pair("db", &first)],
        reload_interval_ms: RELOAD_INTERVAL_MS,
        ..TlsConfig::default()
    };
    let options = StackOptions::ephemeral().gateway(move |gateway| gateway.tls = settings.clone());
    let stack = Stack::start_with(options).await;
    let tenant = stack.create_tenant("staying", "eu").await;
    let tls = Tls::new(&authority.pem(), DOMAIN);
    let mut staying = tls.request(address(&stack)).await.expect("TLS");
    login(&mut staying, &startup(&tenant), &tenant.password()).await.expect("let in");
    assert_eq!(server_certificate(&mut staying), first.der);
    let expiry = stack.metric("tenantry_tls_certificate_expiry_timestamp_seconds", &["db.crt"]).await;
    assert!(expiry > 0.0, "{expiry}");

    // A certificate without its key, as when a tool replaces one file after the other.
    let second = authority.sign(&[DOMAIN], true);
    files.write("db.crt", &second.cert);
    eventually("the mismatch is noticed", async || (reloads(&stack, "failed").await >= 1.0).then_some(()))
        .await;
    assert_eq!(shown(&stack, &tls).await, first.der);
    files.write("db.key", &second.key);
    until_shown(&stack, &tls, &second).await;
    assert_eq!(reloads(&stack, "succeeded").await, 1.0);

    for (file, bad) in [("db.crt", "no certificate"), ("db.key", "no key")] {
        let (before, good) = (reloads(&stack, "failed").await, std::fs::read_to_string(files.path(file)));
        files.write(file, bad);
        eventually("it is reported", async || (reloads(&stack, "failed").await > before).then_some(())).await;
        assert_eq!(shown(&stack, &tls).await, second.der);
        files.write(file, &good.expect("a file"));
        // The same contents as before: nothing to complain about, and in use all the time.
        until_shown(&stack, &tls, &second).await;
    }
    std::fs::remove_file(files.path("db.crt")).expect("a file of our own");
    let before = reloads(&stack, "failed").await;
    eventually("it is missed", async || (reloads(&stack, "failed").await > before).then_some(())).await;
    assert_eq!(shown(&stack, &tls).await, second.der);
    let third = authority.sign(&[DOMAIN], true);
    files.write_pair("db", &third);
    until_shown(&stack, &tls, &third).await;

    assert_eq!(staying.value("select 'still here'").await, "still here");
    stack.stop().await;
}
