//! What one address may do before anybody knows who is there.

use harness::wire::WireClient;
use harness::{Stack, Tenant};
use std::net::SocketAddr;
use std::time::Duration;
use suites::plans;
use tenantry::dev::StackOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Few enough for a test, and more than starting a stack takes.
const FAILED_LOGINS_MAX: u32 = 10;

/// What a client has from its connection to its login, and how long a test waits for it to be over, which is another
/// matter on a slow machine.
const STARTUP_MS: u64 = 500;
const OVER_MAX: Duration = Duration::from_secs(60);

/// Between two bytes of a client that sends them one by one.
const TRICKLE: Duration = Duration::from_millis(50);

async fn guess(tenant: &Tenant) -> String {
    let mut config = tenant.config();
    config.password("a guess");
    match WireClient::login(&config).await {
        Ok(_) => panic!("a guess is right"),
        Err(refusal) => refusal.sqlstate(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_guesses_passwords_is_refused_whatever_it_asks_for_next() {
    let options = StackOptions::ephemeral()
        .gateway(|config| config.limits.address_failed_logins_per_minute = FAILED_LOGINS_MAX);
    let stack = Stack::start_with(options).await;
    plans::add(&stack, "guessed", plans::limits(5, 50, 50, 60_000)).await;
    let body = serde_json::json!({ "slug": "guessed", "region": "eu", "plan": "guessed" });
    let tenant = stack.create_tenant_with(body).await;
    let client = tenant.connect().await;
    let mut said = Vec::new();
    // One comes back every six seconds: a slow machine guesses on until they come faster than that.
    while said.last().map(String::as_str) != Some("53300") {
        said.push(guess(&tenant).await);
    }
    assert!(said.len() > usize::try_from(FAILED_LOGINS_MAX).expect("small"), "{said:?}");
    assert!(said[..said.len() - 1].iter().all(|code| code == "28P01"), "{said:?}");
    // Whoever is in is not concerned.
    client.batch_execute("select 1").await.expect("served");
    let labels = ["excess=\"failed_logins\""];
    assert!(stack.metric("tenantry_gateway_address_refusals_total", &labels).await >= 1.0);
    assert!(stack.metric("tenantry_gateway_failed_logins_total", &[]).await >= f64::from(FAILED_LOGINS_MAX));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_connects_too_often_is_refused_on_both_listeners_and_an_exempt_one_is_not() {
    for (exempt, expected) in [(vec![], true), (vec!["127.0.0.0/8".parse().expect("a range")], false)] {
        let options = StackOptions::ephemeral().gateway(move |config| {
            config.limits.address_connections_per_second = 1;
            config.limits.address_exempt.clone_from(&exempt);
        });
        let stack = Stack::start_with(options).await;
        let tenant = stack.create_tenant("connecting", "eu").await;
        let mut refused = 0;
        // A burst of five, and one a second: 200 logins in a row do not take as long as they would have to.
        for _ in 0..200 {
            if let Err(refusal) = WireClient::login(&tenant.config()).await {
                assert_eq!(refusal.sqlstate(), "53300");
                refused += 1;
            }
        }
        assert_eq!(refused > 0, expected, "{refused} were refused");
        let url = format!("{}/healthz", stack.descriptor().gateway.http);
        let mut too_many = 0;
        for _ in 0..200 {
            let answer = reqwest::Client::new().get(&url).send().await;
            too_many += u32::from(answer.is_ok_and(|answer| answer.status() == 429));
        }
        assert_eq!(too_many > 0, expected, "{too_many} were refused");
        stack.stop().await;
    }
}

/// A client sends this, and then one byte again and again, as long as it is let. Says whether it was sent away.
async fn is_sent_away(address: SocketAddr, beginning: &[u8], last: Option<u8>) -> bool {
    let stream = TcpStream::connect(address).await.expect("it listens");
    let (mut reader, mut writer) = stream.into_split();
    let beginning = beginning.to_vec();
    let sending = tokio::spawn(async move {
        if writer.write_all(&beginning).await.is_err() {
            return;
        }
        let Some(last) = last else { return std::future::pending().await };
        while writer.write_all(&[last]).await.is_ok() {
            tokio::time::sleep(TRICKLE).await;
        }
    });
    let is_over = timeout(OVER_MAX, async {
        let mut heard = [0; 512];
        while matches!(reader.read(&mut heard).await, Ok(1..)) {}
    });
    let is_over = is_over.await.is_ok();
    sending.abort();
    is_over
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_dawdles_before_its_login_is_sent_away_in_every_phase() {
    let options = StackOptions::ephemeral().gateway(|config| config.limits.startup_timeout_ms = STARTUP_MS);
    let stack = Stack::start_with(options).await;
    let (pg, http) = (stack.addresses().pg, stack.addresses().http);
    let startup = b"\0\0\0\x1d\0\x03\0\0user\0app\0database\0y\0\0";
    for (phase, address, beginning, last) in [
        ("nothing", pg, &b""[..], None),
        ("half an encryption request", pg, &b"\0\0\0\x08\x04"[..], None),
        ("a startup packet without end", pg, &b"\0\0\x10\0\0\x03\0\0"[..], Some(b'x')),
        ("no password", pg, &startup[..], None),
        ("no request", http, &b""[..], None),
        ("headers without end", http, &b"POST /sql HTTP/1.1\r\nx: "[..], Some(b'x')),
        ("half of HTTP/2's preface", http, &b"PRI * HTTP/2.0\r\n"[..], None),
    ] {
        assert!(is_sent_away(address, beginning, last).await, "{phase}");
    }
    stack.stop().await;
}
