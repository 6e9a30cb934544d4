//! Thousands of cancels at clients that share one connection: each ends its own client's statement and no other.

use harness::wire::{WireClient, tags};
use harness::{Stack, Tenant};
use pgwire::frontend::write;
use std::sync::Arc;
use suites::plans;
use tenantry::dev::StackOptions;
use tokio_postgres::Config;

const CLIENTS: usize = 8;
const ROUNDS: usize = 40;
/// Requests that are sent at the same time for one statement; all but one come too late.
const VOLLEY: usize = 4;

async fn cancel(config: &Config, request: &[u8]) {
    let mut client = WireClient::dial(config).await.expect("the gateway listens");
    client.send(request).await.expect("sent");
    assert!(client.until_end().await.expect("the end").is_empty());
}

/// Sends cancels until the statement has ended, and returns when the last of them has.
async fn cancel_until_answered(client: &mut WireClient, config: &Config) -> (String, usize) {
    let mut sent = 0;
    let request = client.cancel_request();
    let answer = client.until_ready();
    tokio::pin!(answer);
    loop {
        sent += VOLLEY;
        let volley = futures_util::future::join_all((0..VOLLEY).map(|_| cancel(config, &request)));
        let mut volley = std::pin::pin!(volley);
        let answered = tokio::select! {
            biased;
            answer = &mut answer => Some(answer.expect("an answer")),
            _sent = &mut volley => None,
        };
        if let Some(messages) = answered {
            volley.await;
            let error = messages.iter().find(|message| message.tag == b'E').expect("cancelled");
            return (error.sqlstate(), sent);
        }
    }
}

async fn storm_client(tenant: Arc<Tenant>, id: usize) -> usize {
    let config = tenant.config();
    let mut client = WireClient::login(&config).await.expect("let in");
    let mut sent = 0;
    for round in 0..ROUNDS {
        let mut long = Vec::new();
        write::query(&mut long, b"select pg_sleep(600)").expect("it fits");
        client.send(&long).await.expect("the gateway reads");
        let (sqlstate, cancels) = cancel_until_answered(&mut client, &config).await;
        assert_eq!(sqlstate, "57014", "client {id}, round {round}");
        sent += cancels;
        let nonce = format!("{id}-{round}");
        let short = client.query(&format!("select '{nonce}'")).await.expect("an answer");
        assert_eq!(tags(&short), "TDCZ", "a stranger's cancel: client {id}, round {round}: {short:?}");
        assert_eq!(short[1].first_column(), nonce);
    }
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn no_cancel_ever_hits_the_next_query() {
    let options = StackOptions::ephemeral().gateway(|gateway| gateway.cancel.per_source_max = 1_000_000);
    let stack = Stack::start_with(options).await;
    plans::add(&stack, "single", plans::limits(1, 100, 100, 30_000)).await;
    let body = serde_json::json!({ "slug": "cancel-storm", "region": "eu", "plan": "single" });
    let tenant = Arc::new(stack.create_tenant_with(body).await);
    let clients: Vec<_> =
        (0..CLIENTS).map(|id| tokio::spawn(storm_client(Arc::clone(&tenant), id))).collect();
    let mut sent = 0;
    for client in clients {
        sent += client.await.expect("no client met a stranger's cancel");
    }
    assert!(sent >= CLIENTS * ROUNDS * VOLLEY, "only {sent} cancels");
    let reached = stack.metric("tenantry_gateway_cancels_total", &["result=\"server\""]).await;
    let queued = stack.metric("tenantry_gateway_cancels_total", &["result=\"queue\""]).await;
    assert!(reached > 0.0 && queued > 0.0, "{reached} at the server, {queued} in the queue");
    stack.stop().await;
}
