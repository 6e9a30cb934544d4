//! A client that puts all settings back: what it is told of them is what it has.

use crate::leaks_observed::Observer;
use crate::{STACK, tenant, value};
use harness::Tenant;
use harness::wire::{Message, WireClient};
use pgwire::backend::parameter_status;
use std::collections::HashMap;

/// A client that remembers what it was told, as drivers do.
struct Told {
    client: WireClient,
    parameters: HashMap<String, String>,
}

impl Told {
    async fn login(tenant: &Tenant, startup: &[(&str, &str)]) -> Self {
        let config = tenant.config();
        let mut client = WireClient::dial(&config).await.expect("the gateway listens");
        let mut parameters = vec![("user", "app"), ("database", tenant.slug.as_str())];
        parameters.extend_from_slice(startup);
        client.startup(&parameters).await.expect("sent");
        client.authenticate(config.get_password().expect("a password")).await.expect("let in");
        let greeting = client.until_ready().await.expect("a greeting");
        let mut told = Self { client, parameters: HashMap::new() };
        told.note(&greeting);
        told
    }

    fn note(&mut self, messages: &[Message]) {
        for message in messages.iter().filter(|message| message.tag == b'S') {
            let (name, value) = parameter_status(&message.body).expect("a parameter");
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
            self.parameters.insert(text(name), text(value));
        }
    }

    async fn run(&mut self, sql: &str) {
        let messages = self.client.query(sql).await.expect("an answer");
        self.note(&messages);
    }

    /// # Panics
    /// When it believes anything else than what is so.
    async fn knows_what_is_so(&mut self, after: &str) {
        for name in ["TimeZone", "DateStyle", "client_encoding", "application_name", "IntervalStyle"] {
            let is_so = value(&mut self.client, &format!("show {name}")).await;
            assert_eq!(self.parameters.get(name), Some(&is_so), "{name} after {after}");
        }
    }
}

/// The statements, each a request of its own.
const RESETS: &[&[&str]] = &[
    &["reset all"],
    &["discard all"],
    &["begin", "reset all", "commit"],
    &["begin", "reset all", "rollback"],
    &["begin; reset all; commit"],
    &["begin; reset all; rollback"],
    &["begin", "reset all", "select 1 / 0", "rollback"],
    &["reset all; select 1 / 0"],
    &["reset all; set timezone = 'Europe/Oslo'"],
    &["begin; reset all; set timezone = 'Europe/Oslo'; rollback"],
    &["begin", "reset all", "set timezone = 'Europe/Oslo'", "rollback"],
    &["begin", "set timezone = 'Europe/Oslo'", "reset all", "rollback"],
    &["listen a", "reset all", "unlisten *"],
];

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_told_what_it_has_after_a_reset() {
    let tenant = tenant(&STACK, "leaks-reset", "single").await;
    let mut observer = Observer::new(&tenant).await;
    let wished = [("client_encoding", "UTF8"), ("TimeZone", "Asia/Tokyo"), ("DateStyle", "SQL, DMY")];
    let defaults = [("client_encoding", "utf8"), ("TimeZone", "Etc/UTC")];
    for startup in [&wished[..], &defaults[..], &[][..]] {
        for set in
            ["select 1", "set client_encoding = 'latin1'; set datestyle = 'german'; set timezone = 'UTC'"]
        {
            for statements in RESETS {
                let mut client = Told::login(&tenant, startup).await;
                client.run(set).await;
                for sql in *statements {
                    client.run(sql).await;
                }
                let after = format!("{set}; {statements:?} from {startup:?}");
                client.knows_what_is_so(&after).await;
                observer.finds_a_fresh_session(&after).await;
                client.knows_what_is_so(&after).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_that_is_rolled_back_takes_nothing_away() {
    let tenant = tenant(&STACK, "leaks-restored", "single").await;
    let mut observer = Observer::new(&tenant).await;
    for statements in RESETS.iter().filter(|statements| statements.iter().any(|sql| sql.contains("rollback")))
    {
        let mut client = Told::login(&tenant, &[]).await;
        client.run("set timezone = 'Asia/Tokyo'").await;
        client.run("set lock_timeout = '3s'").await;
        for sql in *statements {
            client.run(sql).await;
        }
        observer.finds_a_fresh_session(&format!("{statements:?}")).await;
        for (ask, expected) in [("show timezone", "Asia/Tokyo"), ("show lock_timeout", "3s")] {
            assert_eq!(value(&mut client.client, ask).await, expected, "after {statements:?}");
        }
    }
}
