//! The operators' console: PgBouncer's words on the gateway's PostgreSQL listener.
//!
//! [`logins`] is who gets in, [`roles`] who may do what, [`tables`] what is shown and to whom it looks like
//! PgBouncer, [`protocol`] how it is said, [`pause`] and [`ends`] what is done to tenants under load, [`accesses`] what
//! becomes of people with different roles.

mod accesses;
mod drivers;
mod ends;
mod logins;
mod pause;
mod protocol;
mod roles;
mod tables;

use config::{ConsoleLogin, ConsoleRole, ConsoleUser};
use harness::wire::{Message, WireClient};
use harness::{SharedStack, Stack, Tenant};
use std::collections::HashMap;
use std::sync::LazyLock;
use suites::plans;
use tenancy::Secret;
use tenantry::dev::StackOptions;
use tokio_postgres::Config;

/// Who may only look.
const STATS: (&str, &str) = ("watcher", "watching");

static STACK: LazyLock<SharedStack> = LazyLock::new(|| SharedStack::start(|| Stack::start_with(options())));

/// A stack with a second operator.
fn options() -> StackOptions {
    StackOptions::ephemeral().gateway(|gateway| {
        let login = ConsoleLogin::Password(Secret::new(STATS.1.to_owned()));
        gateway.console.users.push(ConsoleUser { name: STATS.0.to_owned(), role: ConsoleRole::Stats, login });
        gateway.console.session_limit = 200;
    })
}

/// How the admin connects.
fn admin() -> Config {
    admin_of(&STACK)
}

fn admin_of(stack: &Stack) -> Config {
    stack.descriptor().gateway.console.parse().expect("a connection string")
}

/// How the one connects who may only look.
fn stats() -> Config {
    let mut config = admin();
    config.user(STATS.0).password(STATS.1);
    config
}

/// Logs in at the console.
async fn console(config: &Config) -> WireClient {
    match WireClient::login(config).await {
        Ok(client) => client,
        Err(message) => panic!("refused: {message:?}"),
    }
}

/// A tenant of a plan of its own.
async fn tenant(slug: &str, pool_size: u32) -> Tenant {
    tenant_on(&STACK, slug, pool_size).await
}

async fn tenant_on(stack: &Stack, slug: &str, pool_size: u32) -> Tenant {
    plans::add(stack, slug, plans::limits(pool_size, 500, 500, 30_000)).await;
    stack.create_tenant_with(serde_json::json!({ "slug": slug, "region": "eu", "plan": slug })).await
}

/// A row by the names of its columns.
type Row = HashMap<String, Option<String>>;

/// The names of a result's columns.
fn columns(messages: &[Message]) -> Vec<String> {
    let description = messages.iter().find(|message| message.tag == b'T');
    let description = description.unwrap_or_else(|| panic!("no table: {messages:?}"));
    let columns = pgwire::backend::row_description(&description.body).expect("columns");
    columns.map(|column| String::from_utf8(column.expect("a column").name.to_vec()).expect("text")).collect()
}

/// The rows of a result.
fn rows(messages: &[Message]) -> Vec<Row> {
    let columns = columns(messages);
    let rows = messages.iter().filter(|message| message.tag == b'D');
    rows.map(|row| {
        let values = pgwire::backend::data_row(&row.body).expect("a row").map(|value| {
            value.expect("a value").map(|value| String::from_utf8(value.to_vec()).expect("text"))
        });
        columns.iter().cloned().zip(values).collect()
    })
    .collect()
}

/// Shows something.
async fn show(client: &mut WireClient, command: &str) -> Vec<Row> {
    let messages = client.query(command).await.expect("an answer");
    assert!(!messages.iter().any(|message| message.tag == b'E'), "{command}: {messages:?}");
    rows(&messages)
}

/// The one row whose column has this value.
async fn row(client: &mut WireClient, command: &str, column: &str, value: &str) -> Option<Row> {
    let rows = show(client, command).await;
    rows.into_iter().find(|row| row[column].as_deref() == Some(value))
}

/// Runs a command that is to succeed.
async fn run(client: &mut WireClient, command: &str) {
    let messages = client.query(command).await.expect("an answer");
    assert!(!messages.iter().any(|message| message.tag == b'E'), "{command}: {messages:?}");
}

/// The SQLSTATE of a command that is to fail.
async fn sqlstate(client: &mut WireClient, command: &str) -> String {
    let messages = client.query(command).await.expect("an answer");
    let failed = messages.iter().find(|message| message.tag == b'E');
    failed.unwrap_or_else(|| panic!("{command} did not fail: {messages:?}")).sqlstate()
}
