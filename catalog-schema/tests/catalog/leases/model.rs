//! Gateways that share one cluster's budget, with a clock of their own making: messages are late, lost and answered
//! too late, gateways are cut off, killed and started, and the budget changes. Only the decision is real: it is the
//! catalog's.

use catalog_schema::ClusterDetail;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

/// How long a gateway counts on its share, in milliseconds of the model; and how long the catalog does.
pub(super) const LEASE: i64 = 8_000;
pub(super) const RESERVED: i64 = 14_000;

/// By then, after its lease, a gateway has no more than its floor: transactions have ended.
const DRAINED_AFTER: i64 = 5_000;

/// What happens next, to which of the gateways.
#[derive(Debug, Clone)]
pub(super) enum Event {
    Start(usize),
    Kill(usize),
    Leave(usize),
    Use(usize, u32),
    Keep(usize, u32),
    Want(usize, u32),
    Send(usize),
    Arrive(usize),
    Answer(usize),
    GiveUp(usize),
    ArriveLate,
    Pass(i64),
    Budget(u32),
}

/// A renewal as it was sent.
#[derive(Debug, Clone)]
struct Request {
    gateway: Uuid,
    number: i64,
    answered: i64,
    sent: i64,
    claim: Value,
    answer: Option<(u32, u32)>,
    arrived: bool,
}

/// A running gateway.
#[derive(Debug)]
pub(super) struct Gateway {
    pub(super) id: Uuid,
    number: i64,
    answered: i64,
    pub(super) share: u32,
    floor: u32,
    pub(super) held: u32,
    /// Of what it holds, what clients keep: less than its share when they begin.
    pub(super) long: u32,
    pub(super) wanted: u32,
    expires: Option<i64>,
    under_way: Option<Request>,
}

impl Gateway {
    /// The most connections that it may open by what it was told.
    fn allowed(&self) -> u32 {
        self.in_force().max(self.held)
    }

    /// Its share, or what clients keep and one connection more.
    fn in_force(&self) -> u32 {
        if self.share > 0 && self.long >= self.share { self.long + 1 } else { self.share }
    }

    /// The same with what it will be told by an answer that is on its way. One that comes after the lease has
    /// ended gives it no more than the floor.
    fn allowed_soon(&self, now: i64) -> u32 {
        let told = self.under_way.as_ref().and_then(|request| {
            let (share, floor) = request.answer?;
            Some(if now < request.sent + LEASE { share } else { floor })
        });
        told.unwrap_or(0).max(self.allowed())
    }
}

/// The world.
pub(super) struct Model<'a> {
    client: &'a Client,
    pub(super) cluster: Uuid,
    pub(super) budget: u32,
    pub(super) now: i64,
    pub(super) gateways: Vec<Option<Gateway>>,
    /// Renewals that nobody waits for any more, and that may arrive yet.
    late: Vec<Request>,
    started: i32,
}

impl<'a> Model<'a> {
    /// Nobody runs, and the catalog knows nobody.
    pub(super) async fn new(
        client: &'a Client,
        cluster: &ClusterDetail,
        gateways: usize,
        budget: u32,
    ) -> Self {
        client.batch_execute("delete from catalog.gateways").await.unwrap();
        let cluster = cluster.cluster.id.as_uuid();
        let gateways = (0..gateways).map(|_| None).collect();
        let mut model = Self { client, cluster, budget, now: 0, gateways, late: Vec::new(), started: 0 };
        model.set_budget(budget).await;
        model
    }

    /// The most connections that the server may see, however the gateways use what they were told.
    pub(super) fn allowed(&self) -> u32 {
        self.gateways.iter().flatten().map(|gateway| gateway.allowed_soon(self.now)).sum()
    }

    pub(super) async fn happen(&mut self, event: &Event) {
        match *event {
            Event::Start(at) => self.start(at).await,
            Event::Kill(at) => self.kill(at),
            Event::Leave(at) => self.leave(at).await,
            Event::Use(at, held) => self.with(at, |gateway| {
                gateway.held = if held > gateway.held { held.min(gateway.allowed()) } else { held };
                gateway.long = gateway.long.min(gateway.held);
            }),
            Event::Keep(at, long) => self.with(at, |gateway| {
                let most = gateway.share.saturating_sub(1).min(gateway.held).max(gateway.long);
                gateway.long = long.min(most);
            }),
            Event::Want(at, wanted) => self.with(at, |gateway| gateway.wanted = wanted),
            Event::Send(at) => self.send(at),
            Event::Arrive(at) => self.arrive(at).await,
            Event::Answer(at) => self.answer(at),
            Event::GiveUp(at) => self.give_up(at),
            Event::ArriveLate => {
                if let Some(request) = self.late.pop() {
                    self.ask(&request).await;
                }
            }
            Event::Pass(millis) => self.pass(millis),
            Event::Budget(budget) => self.set_budget(budget).await,
        }
    }

    /// One renewal without anything in its way.
    pub(super) async fn renew(&mut self, at: usize) {
        self.give_up(at);
        self.send(at);
        self.arrive(at).await;
        self.answer(at);
        self.with(at, |gateway| gateway.held = gateway.held.min(gateway.in_force()));
    }

    fn with(&mut self, at: usize, change: impl FnOnce(&mut Gateway)) {
        if let Some(gateway) = &mut self.gateways[at] {
            change(gateway);
        }
    }

    async fn start(&mut self, at: usize) {
        if self.gateways[at].is_some() {
            return;
        }
        self.started += 1;
        let id = Uuid::from_u128(u128::from(self.started.unsigned_abs()) << 64 | at as u128);
        let sql = "insert into catalog.gateways (id, name, region, address, applied_revision, number)
                   values ($1, 'g', 'eu', 'g:1', 0, $2)";
        self.client.execute(sql, &[&id, &self.started]).await.unwrap();
        self.gateways[at] = Some(Gateway {
            id,
            number: 0,
            answered: 0,
            share: 0,
            floor: 0,
            held: 0,
            long: 0,
            wanted: 0,
            expires: None,
            under_way: None,
        });
    }

    fn kill(&mut self, at: usize) {
        self.give_up(at);
        self.gateways[at] = None;
    }

    async fn leave(&mut self, at: usize) {
        self.give_up(at);
        if let Some(gateway) = self.gateways[at].take() {
            self.client.execute("delete from catalog.gateways where id = $1", &[&gateway.id]).await.unwrap();
        }
    }

    fn send(&mut self, at: usize) {
        let (cluster, sent) = (self.cluster, self.now);
        self.with(at, |gateway| {
            if gateway.under_way.is_some() {
                return;
            }
            gateway.number += 1;
            let claim = json!([{
                "cluster": cluster, "share": gateway.in_force(), "floor": gateway.floor,
                "held": gateway.held, "long": gateway.long, "wanted": gateway.wanted,
            }]);
            let (number, answered) = (gateway.number, gateway.answered);
            let (answer, arrived) = (None, false);
            gateway.under_way =
                Some(Request { gateway: gateway.id, number, answered, sent, claim, answer, arrived });
        });
    }

    async fn arrive(&mut self, at: usize) {
        let Some(mut request) = self.gateways[at].as_mut().and_then(|gateway| gateway.under_way.take())
        else {
            return;
        };
        if !request.arrived {
            request.answer = self.ask(&request).await;
            request.arrived = true;
        }
        self.with(at, |gateway| gateway.under_way = Some(request));
    }

    /// The real thing.
    async fn ask(&self, request: &Request) -> Option<(u32, u32)> {
        let sql = "select share, floor from catalog.renew_leases($1, $2, $3, $4, $5,
                     timestamptz '2026-01-01' + $6::bigint * interval '1 millisecond')";
        let args: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
            &[&request.gateway, &request.number, &request.answered, &RESERVED, &request.claim, &self.now];
        let row = self.client.query_opt(sql, args).await.unwrap()?;
        let (share, floor): (i32, i32) = (row.get(0), row.get(1));
        Some((share.unsigned_abs(), floor.unsigned_abs()))
    }

    fn answer(&mut self, at: usize) {
        let now = self.now;
        self.with(at, |gateway| {
            let Some(request) = gateway.under_way.take_if(|request| request.arrived) else { return };
            let Some((share, floor)) = request.answer else { return };
            (gateway.share, gateway.floor, gateway.answered) = (share, floor, request.number);
            gateway.expires = Some(request.sent + LEASE);
            expire(gateway, now);
        });
    }

    fn give_up(&mut self, at: usize) {
        let given_up = self.gateways[at].as_mut().and_then(|gateway| gateway.under_way.take());
        self.late.extend(given_up.filter(|request| !request.arrived));
    }

    fn pass(&mut self, millis: i64) {
        self.now += millis;
        let now = self.now;
        self.gateways.iter_mut().flatten().for_each(|gateway| expire(gateway, now));
    }

    pub(super) async fn set_budget(&mut self, budget: u32) {
        self.budget = budget;
        let sql = "update catalog.clusters set connection_budget = $2 where id = $1";
        let budget = i32::try_from(budget).unwrap();
        self.client.execute(sql, &[&self.cluster, &budget]).await.unwrap();
    }
}

fn expire(gateway: &mut Gateway, now: i64) {
    let Some(expires) = gateway.expires else { return };
    if now >= expires {
        gateway.share = gateway.floor;
        // What clients keep beyond the floor of a gateway that is cut off is not promised.
        gateway.long = gateway.long.min(gateway.floor.saturating_sub(1));
    }
    if now >= expires + DRAINED_AFTER {
        gateway.held = gateway.held.min(gateway.share);
    }
}
