//! What passes through TLS, and how its connections end.

use crate::client::{TlsClient, login};
use crate::{STACK, address, startup, tls};
use harness::wire::{WireClient, tags};
use harness::{Tenant, wait_until};
use pgwire::frontend::write;
use std::io::Write;
use tokio::io::AsyncWriteExt;

async fn client(tenant: &Tenant) -> TlsClient {
    let mut client = tls().request(address(&STACK)).await.expect("TLS");
    login(&mut client, &startup(tenant), &tenant.password()).await.expect("let in");
    client
}

fn query(sql: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write::query(&mut out, sql.as_bytes()).expect("it fits");
    out
}

/// Server connections that clients of the tenant have in use.
async fn active(tenant: &Tenant) -> f64 {
    let labels = [format!("tenant=\"{}\"", tenant.slug), "state=\"active\"".to_owned()];
    STACK.metric("tenantry_pool_connections", &[&labels[0], &labels[1]]).await
}

async fn clients(tenant: &Tenant) -> f64 {
    STACK.metric("tenantry_clients", &[&format!("tenant=\"{}\"", tenant.slug)]).await
}

async fn runs(tenant: &Tenant, mark: &str) -> bool {
    let inside = STACK.inside(tenant).await;
    let count = "select count(*) from pg_stat_activity where state = 'active' and query like $1 || '%'";
    inside.query_one(count, &[&mark]).await.expect("an administrator may").get::<_, i64>(0) > 0
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelines_of_many_clients_are_not_mixed_up() {
    let tenant = STACK.create_tenant("pipelined", "eu").await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..16 {
        let mut client = client(&tenant).await;
        tasks.spawn(async move {
            for round in 0..10 {
                let mut out = Vec::new();
                for request in 0..20 {
                    let nonce = format!("{number}-{round}-{request}");
                    write::parse(&mut out, b"", b"select $1::text", &[]).expect("it fits");
                    write::bind_text(&mut out, b"", b"", &[Some(nonce.as_bytes())]).expect("it fits");
                    write::execute(&mut out, b"", 0).expect("it fits");
                    write::sync(&mut out);
                }
                client.send(&out).await.expect("sent");
                for request in 0..20 {
                    let answer = client.until_ready().await.expect("an answer");
                    assert_eq!(tags(&answer), "12DCZ");
                    assert_eq!(answer[2].first_column(), format!("{number}-{round}-{request}"));
                }
            }
        });
    }
    tasks.join_all().await;
}

#[tokio::test]
async fn records_that_arrive_together_are_all_served() {
    let tenant = STACK.create_tenant("together", "eu").await;
    let mut client = client(&tenant).await;
    // The gateway may read both at once, and serves the first one from what it has decrypted so far.
    for _ in 0..50 {
        let session = client.stream().get_mut().1;
        for sql in ["select 'first'", "select 'second'"] {
            session.writer().write_all(&query(sql)).expect("rustls takes it");
        }
        client.stream().flush().await.expect("sent");
        for expected in ["first", "second"] {
            let answer = client.until_ready().await.expect("an answer");
            assert_eq!(answer[1].first_column(), expected);
        }
    }
}

/// A client that sees TCP end without the end of TLS has to take it for an attack.
#[tokio::test]
async fn a_connection_that_the_gateway_ends_ends_in_order() {
    let tenant = STACK.create_tenant("ended", "eu").await;
    let mut client = client(&tenant).await;
    client.query("begin").await.expect("an answer");
    assert_eq!(STACK.end_sessions(&tenant).await, 1);
    let last = client.until_end().await.expect("the end of TLS, and only then of TCP");
    assert_eq!(last.last().expect("a reason").sqlstate(), "57P01");
}

#[tokio::test]
async fn large_values_pass_both_ways() {
    let tenant = STACK.create_tenant("large", "eu").await;
    let mut client = client(&tenant).await;
    let large = "x".repeat(8 * 1024 * 1024);
    let mut out = Vec::new();
    write::parse(&mut out, b"", b"select $1::text", &[]).expect("it fits");
    write::bind_text(&mut out, b"", b"", &[Some(large.as_bytes())]).expect("it fits");
    write::execute(&mut out, b"", 0).expect("it fits");
    write::sync(&mut out);
    client.send(&out).await.expect("sent");
    let answer = client.until_ready().await.expect("an answer");
    assert_eq!(answer[2].first_column(), large);
}

#[tokio::test]
async fn a_cancel_request_over_tls_is_heard() {
    let tenant = STACK.create_tenant("stopped", "eu").await;
    let mut client = client(&tenant).await;
    client.send(&query("select pg_sleep(600)")).await.expect("sent");
    wait_until("it runs", async || runs(&tenant, "select pg_sleep(600)").await).await;
    let mut canceller = tls().request(address(&STACK)).await.expect("TLS");
    canceller.send(&client.cancel_request()).await.expect("sent");
    assert!(canceller.until_end().await.expect("the end of TLS, and only then of TCP").is_empty());
    let answer = client.until_ready().await.expect("an answer");
    let error = answer.iter().find(|message| message.tag == b'E').expect("an error");
    assert_eq!(error.sqlstate(), "57014");
    assert_eq!(client.value("select 'still here'").await, "still here");
}

#[tokio::test]
async fn however_a_client_ends_nothing_of_it_stays() {
    let tenant = STACK.create_tenant("ending", "eu").await;
    for in_transaction in [false, true] {
        for end in [End::Orderly, End::HalfClosed, End::Cut, End::Reset] {
            let mut client = client(&tenant).await;
            if in_transaction {
                client.query("begin").await.expect("an answer");
                assert_eq!(active(&tenant).await, 1.0);
            }
            end.of(client).await;
            wait_until(&format!("{end:?} is noticed"), async || {
                active(&tenant).await == 0.0 && clients(&tenant).await == 0.0
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_a_statement_has_it_stopped() {
    let tenant = STACK.create_tenant("deserting", "eu").await;
    for end in [End::HalfClosed, End::Cut, End::Reset] {
        let mut client = client(&tenant).await;
        client.send(&query("select pg_sleep(601)")).await.expect("sent");
        wait_until("it runs", async || runs(&tenant, "select pg_sleep(601)").await).await;
        end.of(client).await;
        wait_until("it is stopped", async || !runs(&tenant, "select pg_sleep(601)").await).await;
        wait_until("nothing is left", async || active(&tenant).await == 0.0 && clients(&tenant).await == 0.0)
            .await;
    }
}

/// How a client's connection ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// It says goodbye, then ends TLS, then TCP.
    Orderly,
    /// It ends TLS and its half of TCP, and stays.
    HalfClosed,
    /// TCP ends without a word of TLS.
    Cut,
    /// TCP is reset.
    Reset,
}

impl End {
    async fn of(self, mut client: TlsClient) {
        match self {
            Self::Orderly => {
                let mut goodbye = Vec::new();
                write::terminate(&mut goodbye);
                client.send(&goodbye).await.expect("sent");
                client.stream().shutdown().await.expect("sent");
            }
            Self::HalfClosed => {
                client.stream().shutdown().await.expect("sent");
                // The gateway closes its half too.
                let _ = client.until_end().await;
            }
            Self::Cut => drop(client),
            Self::Reset => {
                let socket = client.stream().get_ref().0;
                socket2::SockRef::from(socket)
                    .set_linger(Some(std::time::Duration::ZERO))
                    .expect("an option");
            }
        }
    }
}

/// Plain clients of a gateway that also speaks TLS are served as ever.
#[tokio::test]
async fn plain_clients_are_served_beside() {
    let tenant = STACK.create_tenant("beside", "eu").await;
    let mut plain = WireClient::login(&tenant.config()).await.expect("let in");
    let mut encrypted = client(&tenant).await;
    assert_eq!(plain.value("select 'plain'").await, "plain");
    assert_eq!(encrypted.value("select 'encrypted'").await, "encrypted");
}
