//! The other client of the pool, and what can be seen of the pool from outside.

use crate::{STACK, login};
use harness::wire::{Message, WireClient, tags};
use harness::{Tenant, eventually};
use pgwire::frontend::{STATEMENT, write};
use std::time::{Duration, Instant};
use suites::nonce::Owner;
use tokio_postgres::Client;

/// "At once", on a machine that does a hundred other things.
const SERVED_WITHIN: Duration = Duration::from_secs(15);

/// Connections that were closed are gone by then, whether or not the server said so.
const GONE_WITHIN: Duration = Duration::from_secs(15);

const LOST: &str = "the bystander has lost its connection";

pub(super) struct Bystander {
    client: WireClient,
    admin: Client,
    role: String,
    slug: String,
    occupies: bool,
}

impl Bystander {
    pub(super) async fn new(tenant: &Tenant) -> Self {
        let physical = STACK.physical(tenant).await;
        let admin = STACK.cluster_admin(&physical.cluster, "postgres").await;
        let client = login(tenant).await;
        Self { client, admin, role: physical.role, slug: tenant.slug.clone(), occupies: false }
    }

    /// Takes the pool's connection and keeps it.
    pub(super) async fn occupy(&mut self) {
        self.occupies = true;
        let _ = self.client.query("begin").await;
    }

    pub(super) async fn vacate(&mut self) {
        if std::mem::take(&mut self.occupies) {
            let _ = self.client.query("commit").await;
        }
    }

    /// A connection that broke while nobody used it may be found broken by whoever uses it next. That is told,
    /// and whoever comes then is served.
    pub(super) async fn is_served_in_the_end(&mut self, tenant: &Tenant) -> Result<(), String> {
        match self.is_served().await {
            Err(failure) if failure.starts_with(LOST) => {
                *self = Self::new(tenant).await;
                self.is_served().await
            }
            other => other,
        }
    }

    /// It asks in two ways and reads its own, in a session that is nobody else's.
    pub(super) async fn is_served(&mut self) -> Result<(), String> {
        let started = Instant::now();
        loop {
            let asked = tokio::time::timeout(SERVED_WITHIN, self.ask()).await;
            match asked.map_err(|_silence| "the bystander is not served".to_owned())? {
                Ok(()) => return Ok(()),
                // Its plan may let it wait for the shortest time only.
                Err(refused) if refused.starts_with("53300") && started.elapsed() < SERVED_WITHIN => {}
                Err(failure) => return Err(failure),
            }
        }
    }

    async fn ask(&mut self) -> Result<(), String> {
        let owner = Owner::anew();
        let (first, second) = (owner.mark(1), owner.mark(2));
        let mut request = Vec::new();
        write::query(&mut request, format!("select '{first}'").as_bytes()).expect("it fits");
        self.answer_is(owner, &request, "TDCZ", &first).await?;
        request.clear();
        write::parse(&mut request, b"b", b"select $1::text, current_setting('application_name')", &[])
            .expect("it fits");
        write::bind_text(&mut request, b"", b"b", &[Some(second.as_bytes())]).expect("it fits");
        write::execute(&mut request, b"", 0).expect("it fits");
        write::close(&mut request, STATEMENT, b"b").expect("it fits");
        write::sync(&mut request);
        self.answer_is(owner, &request, "12DC3Z", &second).await
    }

    async fn answer_is(
        &mut self,
        owner: Owner,
        request: &[u8],
        expected: &str,
        mark: &str,
    ) -> Result<(), String> {
        let lost = |error: std::io::Error| format!("{LOST}: {error}");
        self.client.send(request).await.map_err(lost)?;
        let answer = self.client.until_ready().await.map_err(lost)?;
        if let Some(error) = answer.iter().find(|message| message.tag == b'E') {
            return Err(format!("{} to the bystander: {}", error.sqlstate(), error.text()));
        }
        let heard = tags(&answer);
        let row = answer.iter().find(|message| message.tag == b'D').map(Message::first_column);
        let idle = answer.last().is_some_and(|ready| ready.body == b"I");
        if heard != expected || row.as_deref() != Some(mark) || !idle {
            return Err(format!("the bystander asked for {mark} and got {answer:?}"));
        }
        match answer.iter().find_map(|message| owner.stranger_in(&message.body)) {
            Some(stranger) => Err(format!("the bystander runs in {stranger:?}'s session: {answer:?}")),
            None => Ok(()),
        }
    }

    /// No lease, nobody waiting, no client but this one, and no session that is at work.
    pub(super) async fn nothing_is_left(&mut self) -> Result<(), String> {
        let started = Instant::now();
        loop {
            let left = self.left().await;
            if left.is_empty() {
                return Ok(());
            }
            if started.elapsed() > GONE_WITHIN {
                return Err(format!("left behind: {}", left.join(", ")));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn left(&self) -> Vec<String> {
        let metrics = STACK.metrics().await;
        let tenant = format!("tenant=\"{}\"", self.slug);
        let gauge = |name: &str, label: &str| -> f64 {
            let mine = metrics.lines().filter(|line| {
                line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{'))
                    && line.contains(&tenant)
                    && line.contains(label)
            });
            mine.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
        };
        let expected = [
            ("tenantry_pool_connections", "state=\"active\"", 0.0),
            ("tenantry_pool_connections", "state=\"opening\"", 0.0),
            ("tenantry_pool_waiting_clients", "", 0.0),
            ("tenantry_clients", "", 1.0),
        ];
        let mut left: Vec<String> = expected
            .iter()
            .map(|(name, label, expected)| (name, label, gauge(name, label), expected))
            .filter(|(_, _, is, expected)| is > *expected)
            .map(|(name, label, is, _)| format!("{name} {label} is {is}"))
            .collect();
        let at_work = "select pid || ' ' || state || ' ' || query from pg_stat_activity
            where usename = $1 and state <> 'idle'";
        let rows = self.admin.query(at_work, &[&self.role]).await.expect("an administrator may look");
        left.extend(rows.iter().map(|row| row.get::<_, String>(0)));
        left
    }
}

pub(super) async fn out_of_sync() -> f64 {
    STACK.metric("tenantry_gateway_out_of_sync_total", &[]).await
}

/// The cluster has as many connections as the pools have idle ones.
pub(super) async fn no_permit_is_lost() {
    eventually("every connection of the budget is idle in a pool", async || {
        let metrics = STACK.metrics().await;
        let sum = |name: &str| -> f64 {
            let series = metrics.lines().filter(|line| line.starts_with(&format!("{name}{{")));
            series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
        };
        (sum("tenantry_cluster_connections") <= sum("tenantry_pool_connections")).then_some(())
    })
    .await;
}
