//! Every conversation × every message × every fault × both sides of the gateway.
//!
//! The tenant has one server connection. After each case a second client, the bystander, works with it at once
//! and reads what is its own; then nothing is left: no lease, no waiting client, no session that is at work.
//! What the first client read until then is its own too, and but for the strike it is what it always reads.

mod bystander;
mod cases;
mod judge;
mod victim;

use crate::conversations::{self, Conversation, TABLES, Talk};
use crate::{STACK, before_cluster, before_gateway, login};
use bystander::Bystander;
use cases::{Case, Kind, Side, chosen};
use futures_util::future::join_all;
use harness::Tenant;
use harness::messages::Script;
use judge::{Heard, Reference};
use std::sync::Arc;
use std::time::{Duration, Instant};
use suites::nonce::Owner;
use tokio::sync::Mutex;
use tokio::time::timeout;
use victim::{Victim, Way};

/// Tenants that are tried at the same time. Cases of one tenant follow each other, and most of a case is waiting.
const LANES: usize = 3;

/// The same, where all cases are tried.
const LANES_OF_ALL: usize = 10;

/// Longer than all that one case may wait for: what does not end is told by its name.
const CASE_MAX: Duration = Duration::from_secs(120);

/// After so many failures it is clear that something is wrong.
const FAILURES_TOLD_MAX: usize = 12;

/// One tenant with one server connection, and everything that cases need of it.
struct Lane {
    tenant: Tenant,
    kind: Kind,
    script: Arc<Script>,
    bystander: Bystander,
    /// Cases, and those of them whose message never came.
    tried: usize,
    unreached: usize,
    failures: Vec<String>,
    /// The case that took longest.
    slowest: (Duration, String),
}

impl Lane {
    async fn new(kind: Kind, number: usize, plan: &str) -> Self {
        let slug = format!("{}-{plan}-{number}", kind.name());
        let body = serde_json::json!({ "slug": slug, "region": "eu", "plan": plan });
        let tenant = STACK.create_tenant_with(body).await;
        let mut client = login(&tenant).await;
        client.query(TABLES).await.expect("tables can be made");
        let script = match kind.side {
            Side::Client => before_gateway().script(&slug),
            Side::Server => before_cluster().script(&STACK.physical(&tenant).await.database),
        };
        let bystander = Bystander::new(&tenant).await;
        Self {
            tenant,
            kind,
            script,
            bystander,
            tried: 0,
            unreached: 0,
            failures: Vec::new(),
            slowest: (Duration::ZERO, String::new()),
        }
    }

    async fn try_all(&mut self, conversation: &Conversation) {
        let undisturbed = timeout(CASE_MAX, self.undisturbed(conversation)).await;
        let reference = match undisturbed.unwrap_or_else(|_elapsed| Err("it does not end".to_owned())) {
            Ok(reference) => reference,
            Err(failure) => {
                return self.failures.push(format!("{} undisturbed: {failure}", conversation.name));
            }
        };
        for case in chosen(self.kind, conversation, &reference.tally) {
            if self.failures.len() >= FAILURES_TOLD_MAX {
                return;
            }
            self.tried += 1;
            let begun = Instant::now();
            let tried = timeout(CASE_MAX, self.try_case(conversation, &reference, &case)).await;
            if let Err(failure) = tried.unwrap_or_else(|_elapsed| Err("it does not end".to_owned())) {
                eprintln!("{case}: {failure}");
                self.failures.push(format!("{case}: {failure}"));
                // It may have lost its connection with the failure.
                self.bystander = Bystander::new(&self.tenant).await;
            }
            if begun.elapsed() > self.slowest.0 {
                self.slowest = (begun.elapsed(), case.to_string());
            }
        }
    }

    /// What is heard when nothing happens. Twice: the first time may open the connection.
    async fn undisturbed(&mut self, conversation: &Conversation) -> Result<Reference, String> {
        let mut reference = Err("it was not tried".to_owned());
        for _ in 0..2 {
            let owner = Owner::anew();
            let heard = self.converse(conversation, owner, None).await;
            let tally = self.script.disarm().await;
            self.bystander.is_served().await?;
            reference = Reference::of(owner, &heard, tally);
        }
        reference
    }

    async fn try_case(
        &mut self,
        conversation: &Conversation,
        reference: &Reference,
        case: &Case,
    ) -> Result<(), String> {
        let owner = Owner::anew();
        let heard = self.converse(conversation, owner, Some(case)).await;
        let tally = self.script.disarm().await;
        self.unreached += usize::from(!tally.has_struck);
        let verdict = judge::judge(conversation, case, owner, reference, &heard);
        // Nobody can know that a silent client is gone, or a connection in the pool, until the network says so.
        let is_idle_again = self.kind.side == Side::Server && heard.way == Way::Through;
        let idle_connection_broke = is_idle_again && case.ends();
        if self.kind.side == Side::Client || idle_connection_broke {
            self.script.release();
        }
        if idle_connection_broke || (is_idle_again && case.may_be_noticed_late()) {
            self.bystander.is_served_in_the_end(&self.tenant).await?;
        } else {
            self.bystander.is_served().await?;
        }
        self.script.release();
        self.bystander.nothing_is_left().await?;
        verdict
    }

    /// The victim's part, from its login to its leaving.
    async fn converse(&mut self, conversation: &Conversation, owner: Owner, case: Option<&Case>) -> Heard {
        let plan = case.map(|case| case.plan);
        if conversation.from_login {
            if self.kind.side == Side::Server {
                STACK.end_sessions(&self.tenant).await;
            }
            self.script.arm(plan);
        }
        let patience = case.map_or(victim::Patience::Full, |case| case.patience());
        let through = match self.kind.side {
            Side::Client => before_gateway().address(),
            Side::Server => STACK.addresses().pg,
        };
        let mut victim = Victim::new(patience);
        if victim.login(&self.tenant, through).await {
            if !conversation.from_login {
                self.script.arm(plan);
            }
            for step in Talk::of(conversation, owner) {
                if !victim.take(step, &self.tenant, &mut self.bystander).await {
                    break;
                }
            }
        }
        self.bystander.vacate().await;
        victim.heard
    }
}

/// The tests take turns: replies out of sync are counted for all tenants together.
static TURN: Mutex<()> = Mutex::const_new(());

/// Spreads the conversations over some tenants and tries all cases of a kind.
async fn try_all(kind: Kind) {
    let _turn = TURN.lock().await;
    // The stack starts before its proxies can be asked for.
    let _started = STACK.addresses();
    let out_of_sync = bystander::out_of_sync().await;
    let (mut lanes, begun) = (Vec::new(), Instant::now());
    // Where two clients share the proxy to the server it is left to chance whom it strikes.
    let plans = if kind.side == Side::Client { &["single", "hasty"][..] } else { &["single"] };
    for &plan in plans {
        let mine: Vec<_> = conversations::ALL.into_iter().filter(|known| known.plan == plan).collect();
        let count = if cases::all_are_wanted() { LANES_OF_ALL } else { LANES }.min(mine.len());
        let next = Arc::new(std::sync::Mutex::new(mine.into_iter()));
        for number in 0..count {
            let next = Arc::clone(&next);
            lanes.push(async move {
                let mut lane = Lane::new(kind, number, plan).await;
                let take = || next.lock().expect("nobody panics with it").next();
                while let Some(conversation) = take() {
                    lane.try_all(&conversation).await;
                }
                lane
            });
        }
    }
    let lanes = join_all(lanes).await;
    let slowest = lanes.iter().map(|lane| &lane.slowest).max().expect("there are lanes");
    let (seconds, (longest, case)) = (begun.elapsed().as_secs(), slowest);
    println!("{}: {seconds} s; the longest case took {longest:?}: {case}", kind.name());
    let tried: usize = lanes.iter().map(|lane| lane.tried).sum();
    let unreached: usize = lanes.iter().map(|lane| lane.unreached).sum();
    let failures: Vec<String> = lanes.into_iter().flat_map(|lane| lane.failures).collect();
    println!("{}: {tried} cases, {unreached} not reached, {} failed", kind.name(), failures.len());
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    // How many messages there are depends on what the connection has prepared already.
    assert!(unreached * 4 <= tried, "{unreached} of {tried} strikes missed: the test does not test");
    let is_deceived = kind == Kind { side: Side::Server, lies: true };
    let deceived = bystander::out_of_sync().await > out_of_sync;
    assert_eq!(deceived, is_deceived, "a reply that is not the one due is noticed, and no other");
    bystander::no_permit_is_lost().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cut_off_anywhere_hurts_itself_alone() {
    try_all(Kind { side: Side::Client, lies: false }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_talks_nonsense_hurts_itself_alone() {
    try_all(Kind { side: Side::Client, lies: true }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_cut_off_anywhere_hurts_the_client_it_serves_alone() {
    try_all(Kind { side: Side::Server, lies: false }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_talks_nonsense_hurts_the_client_it_serves_alone() {
    try_all(Kind { side: Side::Server, lies: true }).await;
}
