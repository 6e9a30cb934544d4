//! From the first connection to the tombstone, and through the failures in between.
//!
//! [`suspension`] and [`purge`] are what the control plane does to a tenant, [`outages`] what happens when a
//! server behind the gateway is away, [`start`] how a gateway begins, [`drain`] how it stops, [`signals`] its process,
//! and [`takeover`] how another one takes its place.

mod drain;
mod outages;
mod purge;
mod signals;
mod start;
mod suspension;
mod takeover;

use harness::Tenant;
use harness::wire::{Message, WireClient};
use pgwire::backend::{TransactionStatus, ready_for_query, tag};

async fn login(tenant: &Tenant) -> WireClient {
    WireClient::login(&tenant.config()).await.unwrap_or_else(|refused| panic!("refused: {}", refused.text()))
}

/// The SQLSTATE of the only error among the messages.
fn error_of(messages: &[Message]) -> String {
    let mut errors = messages.iter().filter(|message| message.tag == tag::ERROR_RESPONSE);
    let error = errors.next().unwrap_or_else(|| panic!("no error: {messages:?}"));
    assert_eq!(errors.next(), None, "more than one error");
    error.sqlstate()
}

/// Runs something that succeeds, and says in what state it leaves the transaction.
async fn run(client: &mut WireClient, sql: &str) -> TransactionStatus {
    let messages = client.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let failed = messages.iter().find(|message| message.tag == tag::ERROR_RESPONSE);
    assert!(failed.is_none(), "{sql}: {}", failed.expect("an error").text());
    let ready = messages.last().expect("a ReadyForQuery");
    ready_for_query(&ready.body).expect("a status")
}

/// What a client hears that is sent away while it does nothing: one error, then the end.
async fn farewell(client: &mut WireClient) -> String {
    let words = client.until_end().await.expect("an orderly end");
    assert_eq!(words.len(), 1, "{words:?}");
    error_of(&words)
}
