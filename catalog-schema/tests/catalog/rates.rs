//! Leases on a tenant's rate: whatever happens to gateways and their messages, together they let through no more.

use crate::fixture::Fixture;
use catalog_schema::{GatewayHeartbeat, RATE_WHOLE, RateClaim, RateRenewal, RateShare};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use std::time::Duration;
use tenancy::{GatewayId, Revision, TenantId};
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

/// Gateways of the model.
const GATEWAYS: usize = 4;

/// Renewals of each gateway after which everybody has what is due: those who have too much are told, then say that they
/// gave it back, and only then others get it.
const ROUNDS_TO_SETTLE: usize = 4;

/// How long a gateway counts on its share, in milliseconds of the model; and how long the catalog does.
const LEASE: i64 = 8_000;
const RESERVED: i64 = 14_000;

/// How long a gateway lives without a sign of life. Nobody in the model gives one: all live.
const LIVE_WITHIN: i64 = 1_000_000_000;

#[derive(Debug, Clone)]
enum Event {
    Kill(usize),
    Want(usize, u32),
    Send(usize),
    Arrive(usize),
    Answer(usize),
    GiveUp(usize),
    ArriveLate,
    Pass(i64),
}

fn event() -> impl Strategy<Value = Event> {
    let gateway = || 0..GATEWAYS;
    prop_oneof![
        1 => gateway().prop_map(Event::Kill),
        4 => (gateway(), 0..=RATE_WHOLE).prop_map(|(at, wanted)| Event::Want(at, wanted)),
        8 => gateway().prop_map(Event::Send),
        8 => gateway().prop_map(Event::Arrive),
        8 => gateway().prop_map(Event::Answer),
        1 => gateway().prop_map(Event::GiveUp),
        1 => Just(Event::ArriveLate),
        4 => prop_oneof![3 => 0..2_000_i64, 1 => 0..20_000_i64].prop_map(Event::Pass),
    ]
}

/// A renewal as it was sent.
#[derive(Debug, Clone)]
struct Request {
    gateway: Uuid,
    number: i64,
    sent: i64,
    claims: Value,
    /// What was answered, once it has arrived.
    answer: Option<Option<u32>>,
}

#[derive(Debug)]
struct Gateway {
    id: Uuid,
    number: i64,
    share: u32,
    wanted: u32,
    expires: i64,
    under_way: Option<Request>,
}

impl Gateway {
    /// What it may let through, also by an answer that is on its way. What it falls back to when its lease has ended
    /// is another matter: that is the same for all, and no lease.
    fn allowed(&self, now: i64) -> u32 {
        let told = self
            .under_way
            .as_ref()
            .and_then(|request| request.answer.flatten().filter(|_| now < request.sent + LEASE));
        told.unwrap_or(0).max(if now < self.expires { self.share } else { 0 })
    }
}

/// Gateways with a clock of their own making. Only the decision is real: it is the catalog's.
struct Model<'a> {
    client: &'a Client,
    tenant: TenantId,
    now: i64,
    gateways: Vec<Gateway>,
    late: Vec<Request>,
    started: i32,
}

impl<'a> Model<'a> {
    async fn new(client: &'a Client, tenant: TenantId) -> Self {
        client.batch_execute("delete from catalog.gateways").await.unwrap();
        let mut model = Self { client, tenant, now: 0, gateways: Vec::new(), late: Vec::new(), started: 0 };
        for _ in 0..GATEWAYS {
            let gateway = model.start().await;
            model.gateways.push(gateway);
        }
        model
    }

    async fn start(&mut self) -> Gateway {
        self.started += 1;
        let id = Uuid::from_u128(u128::from(self.started.unsigned_abs()));
        let sql = "insert into catalog.gateways (id, name, region, address, applied_revision, number)
                   values ($1, 'g', 'eu', 'g:1', 0, $2)";
        self.client.execute(sql, &[&id, &self.started]).await.unwrap();
        Gateway { id, number: 0, share: 0, wanted: 0, expires: 0, under_way: None }
    }

    fn allowed(&self) -> u32 {
        self.gateways.iter().map(|gateway| gateway.allowed(self.now)).sum()
    }

    async fn happen(&mut self, event: &Event) {
        match *event {
            // Another takes its place. The catalog is not told.
            Event::Kill(at) => {
                self.give_up(at);
                self.gateways[at] = self.start().await;
            }
            Event::Want(at, wanted) => self.gateways[at].wanted = wanted,
            Event::Send(at) => self.send(at),
            Event::Arrive(at) => self.arrive(at).await,
            Event::Answer(at) => self.answer(at),
            Event::GiveUp(at) => self.give_up(at),
            Event::ArriveLate => {
                if let Some(request) = self.late.pop() {
                    self.ask(&request).await;
                }
            }
            Event::Pass(millis) => {
                self.now += millis;
                self.expire();
            }
        }
    }

    fn expire(&mut self) {
        for gateway in self.gateways.iter_mut().filter(|gateway| self.now >= gateway.expires) {
            gateway.share = 0;
        }
    }

    fn send(&mut self, at: usize) {
        let gateway = &mut self.gateways[at];
        if gateway.under_way.is_some() {
            return;
        }
        gateway.number += 1;
        let claims = json!([{ "tenant": self.tenant, "in_force": gateway.share, "wanted": gateway.wanted }]);
        let (number, sent) = (gateway.number, self.now);
        gateway.under_way = Some(Request { gateway: gateway.id, number, sent, claims, answer: None });
    }

    async fn arrive(&mut self, at: usize) {
        let Some(mut request) = self.gateways[at].under_way.take() else { return };
        if request.answer.is_none() {
            request.answer = Some(self.ask(&request).await);
        }
        self.gateways[at].under_way = Some(request);
    }

    /// The real thing.
    async fn ask(&self, request: &Request) -> Option<u32> {
        let sql = "select share from catalog.renew_rates($1, $2, $3, $4, $5,
                     timestamptz '2026-01-01' + $6::bigint * interval '1 millisecond')";
        let args: &[&(dyn ToSql + Sync)] =
            &[&request.gateway, &request.number, &RESERVED, &LIVE_WITHIN, &request.claims, &self.now];
        let row = self.client.query_opt(sql, args).await.unwrap()?;
        Some(row.get::<_, i32>(0).unsigned_abs())
    }

    fn answer(&mut self, at: usize) {
        let gateway = &mut self.gateways[at];
        let Some(request) = gateway.under_way.take_if(|request| request.answer.is_some()) else { return };
        if let Some(share) = request.answer.flatten() {
            (gateway.share, gateway.expires) = (share, request.sent + LEASE);
        }
        self.expire();
    }

    fn give_up(&mut self, at: usize) {
        let given_up = self.gateways[at].under_way.take();
        self.late.extend(given_up.filter(|request| request.answer.is_none()));
    }

    /// One renewal without anything in its way.
    async fn renew(&mut self, at: usize) {
        self.give_up(at);
        self.send(at);
        self.arrive(at).await;
        self.answer(at);
    }
}

#[test]
fn together_gateways_never_let_through_more_than_the_rate() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (tenant, client, _fixture) = runtime.block_on(with_tenant());
    let config = Config { cases: 96, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&proptest::collection::vec(event(), 1..120), |events| {
            runtime.block_on(async {
                let mut model = Model::new(&client, tenant).await;
                for event in &events {
                    model.happen(event).await;
                    prop_assert!(model.allowed() <= RATE_WHOLE, "{event:?}: {:?}", model.gateways);
                }
                everybody_gets_what_is_due(&mut model).await
            })
        })
        .unwrap();
}

/// Once messages arrive again and the dead are taken for dead, what is wanted is given as far as there is any, and
/// nobody who lacks has less than another.
async fn everybody_gets_what_is_due(model: &mut Model<'_>) -> Result<(), TestCaseError> {
    model.happen(&Event::Pass(RESERVED + 1)).await;
    let living: Vec<Uuid> = model.gateways.iter().map(|gateway| gateway.id).collect();
    model.client.execute("delete from catalog.gateways where id <> all ($1)", &[&living]).await.unwrap();
    for at in (0..GATEWAYS).cycle().take(GATEWAYS * ROUNDS_TO_SETTLE) {
        model.renew(at).await;
    }
    let wanted: u32 = model.gateways.iter().map(|gateway| gateway.wanted).sum();
    let most = model.gateways.iter().map(|gateway| gateway.share).max().unwrap_or(0);
    for gateway in &model.gateways {
        let lacks = gateway.share < gateway.wanted;
        prop_assert!(!lacks || wanted > RATE_WHOLE, "free, yet lacking: {:?}", model.gateways);
        prop_assert!(!lacks || gateway.share + 1 >= most, "{gateway:?} lacks beside {:?}", model.gateways);
    }
    let shared: u32 = model.gateways.iter().map(|gateway| gateway.share).sum();
    let rounded_off = u32::try_from(GATEWAYS).unwrap();
    prop_assert!(shared + rounded_off >= RATE_WHOLE, "{shared} of it is shared: {:?}", model.gateways);
    Ok(())
}

async fn with_tenant() -> (TenantId, Client, Fixture) {
    let fixture = Fixture::new().await;
    let tenant = fixture.tenant("acme").await;
    let client = fixture.raw().await;
    (tenant, client, fixture)
}

/// A gateway as it renews through the typed interface.
struct Renewing<'a> {
    fixture: &'a Fixture,
    id: GatewayId,
    number: i64,
}

impl<'a> Renewing<'a> {
    async fn start(fixture: &'a Fixture) -> Self {
        let beat = GatewayHeartbeat {
            id: GatewayId::generate(),
            name: "gateway".to_owned(),
            region: "eu".parse().unwrap(),
            address: "127.0.0.1:6432".to_owned(),
            applied_revision: Revision::new(0),
        };
        fixture.catalog.gateway_heartbeat(&beat).await.unwrap();
        Self { fixture, id: beat.id, number: 0 }
    }

    async fn claim(&mut self, claims: &[RateClaim]) -> Vec<RateShare> {
        self.number += 1;
        let renewal = RateRenewal { gateway: self.id, number: self.number, lasts: Duration::from_secs(14) };
        self.fixture.catalog.renew_rates(&renewal, claims).await.unwrap()
    }

    /// The share that it is told, and what it lacks.
    async fn renew(&mut self, tenant: TenantId, in_force: u32, wanted: u32) -> (u32, u32) {
        let told = self.claim(&[RateClaim { tenant, in_force, wanted }]).await;
        (told[0].share, told[0].lacking)
    }
}

#[tokio::test]
async fn the_rate_goes_where_the_requests_are_and_from_hand_to_hand() {
    let fixture = Fixture::new().await;
    let tenant = fixture.tenant("acme").await;
    let mut first = Renewing::start(&fixture).await;
    assert_eq!(first.renew(tenant, 0, 200_000).await, (RATE_WHOLE, 0), "nobody else lives");
    let mut second = Renewing::start(&fixture).await;
    assert_eq!(second.renew(tenant, 0, 600_000).await, (0, 700_000), "all of it is the first one's still");
    assert_eq!(first.renew(tenant, RATE_WHOLE, 200_000).await.0, 300_000);
    assert_eq!(second.renew(tenant, 0, 600_000).await, (0, 700_000), "the answer may have been lost");
    assert_eq!(first.renew(tenant, 300_000, 200_000).await.0, 300_000);
    assert_eq!(second.renew(tenant, 0, 600_000).await, (700_000, 0));
    // Both want all there is.
    assert_eq!(first.renew(tenant, 300_000, RATE_WHOLE).await, (300_000, 200_000));
    assert_eq!(second.renew(tenant, 700_000, RATE_WHOLE).await.0, 500_000);
    assert_eq!(second.renew(tenant, 500_000, RATE_WHOLE).await.0, 500_000);
    assert_eq!(first.renew(tenant, 300_000, RATE_WHOLE).await, (500_000, 0));
}

#[tokio::test]
async fn who_claims_nothing_or_signs_off_gives_its_share_back() {
    let fixture = Fixture::new().await;
    let tenant = fixture.tenant("acme").await;
    let (mut first, mut second) = (Renewing::start(&fixture).await, Renewing::start(&fixture).await);
    assert_eq!(first.renew(tenant, 0, RATE_WHOLE).await.0, RATE_WHOLE);
    assert!(first.claim(&[]).await.is_empty());
    assert_eq!(second.renew(tenant, 0, RATE_WHOLE).await.0, RATE_WHOLE);
    fixture.catalog.gateway_forget(second.id).await.unwrap();
    assert_eq!(first.renew(tenant, 0, RATE_WHOLE).await.0, RATE_WHOLE);
}

#[tokio::test]
async fn an_old_renewal_a_strangers_and_a_tenant_that_is_gone_are_told_nothing() {
    let fixture = Fixture::new().await;
    let tenant = fixture.tenant("acme").await;
    let mut gateway = Renewing::start(&fixture).await;
    gateway.renew(tenant, 0, RATE_WHOLE).await;
    gateway.number -= 1;
    let claim = RateClaim { tenant, in_force: 0, wanted: 0 };
    assert!(gateway.claim(&[claim]).await.is_empty(), "it is old");
    let gone = RateClaim { tenant: TenantId::generate(), ..claim };
    assert!(gateway.claim(&[gone]).await.is_empty(), "there is no such tenant");
    gateway.id = GatewayId::generate();
    assert!(gateway.claim(&[claim]).await.is_empty(), "it is nobody");
}
