//! Leases on a cluster's budget: whatever happens to gateways and their messages, together they never hold more.

mod model;

use crate::fixture::{Fixture, name};
use catalog_schema::{GatewayHeartbeat, LeaseClaim, LeaseRenewal};
use model::{Event, Gateway, Model, RESERVED};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::time::Duration;
use tenancy::{ClusterId, GatewayId, Revision};
use tokio_postgres::Client;

/// Gateways of the model.
const GATEWAYS: usize = 4;

/// Renewals of each gateway after which everybody has what is due: those who have too much are told, then say that
/// they gave it back, and only then others get it; the same again for floors, which are smaller the more there are.
const ROUNDS_TO_SETTLE: usize = 5;

fn event() -> impl Strategy<Value = Event> {
    let gateway = || 0..GATEWAYS;
    prop_oneof![
        3 => gateway().prop_map(Event::Start),
        1 => gateway().prop_map(Event::Kill),
        1 => gateway().prop_map(Event::Leave),
        6 => (gateway(), 0..60_u32).prop_map(|(at, held)| Event::Use(at, held)),
        2 => (gateway(), 0..60_u32).prop_map(|(at, long)| Event::Keep(at, long)),
        3 => (gateway(), 0..60_u32).prop_map(|(at, wanted)| Event::Want(at, wanted)),
        8 => gateway().prop_map(Event::Send),
        8 => gateway().prop_map(Event::Arrive),
        8 => gateway().prop_map(Event::Answer),
        1 => gateway().prop_map(Event::GiveUp),
        1 => Just(Event::ArriveLate),
        4 => prop_oneof![3 => 0..2_000_i64, 1 => 0..20_000_i64].prop_map(Event::Pass),
        1 => (1..60_u32).prop_map(Event::Budget),
    ]
}

fn cases(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

#[test]
fn together_gateways_never_hold_more_than_the_budget() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (fixture, client) = runtime.block_on(with_client());
    let cluster = runtime.block_on(fixture.cluster("eu-1"));
    let world = (1..60_u32, proptest::collection::vec(event(), 1..120));
    cases(96)
        .run(&world, |(budget, events)| {
            runtime.block_on(async {
                let mut model = Model::new(&client, &cluster, GATEWAYS, budget).await;
                for event in &events {
                    let before = model.allowed();
                    model.happen(event).await;
                    let (now, most) = (model.allowed(), before.max(model.budget));
                    prop_assert!(now <= most, "{event:?} raised {before} to {now} of {}", model.budget);
                }
                everybody_gets_what_is_due(&mut model, &client).await
            })
        })
        .unwrap();
}

/// Once messages arrive again and the dead are taken for dead, what is free is used, and who has less than another
/// wants no more than it has.
async fn everybody_gets_what_is_due(model: &mut Model<'_>, client: &Client) -> Result<(), TestCaseError> {
    model.happen(&Event::Pass(RESERVED + 1)).await;
    for at in (0..GATEWAYS).cycle().take(GATEWAYS * ROUNDS_TO_SETTLE) {
        model.renew(at).await;
    }
    let dead = "select coalesce(sum(kept), 0) from catalog.budget_leases where expires_at <=
                  timestamptz '2026-01-01' + $1::bigint * interval '1 millisecond'";
    let dead: i64 = client.query_one(dead, &[&model.now]).await.unwrap().get(0);
    let capacity = i64::from(model.budget - model.budget / 20) - dead;
    let living: Vec<_> = model.gateways.iter().flatten().collect();
    let shared: u32 = living.iter().map(|gateway| gateway.share).sum();
    prop_assert!(i64::from(shared) <= capacity.max(0), "{shared} of {capacity}: {living:?}");
    for gateway in &living {
        let lacks = gateway.share < gateway.wanted.min(model.budget);
        prop_assert!(!lacks || i64::from(shared) == capacity.max(0), "free, yet lacking: {living:?}");
        let beyond_long = |other: &&&Gateway| other.share > other.long + 1;
        let most = living.iter().filter(beyond_long).map(|other| other.share).max().unwrap_or(0);
        // Nobody's idle connections, spare part or floor is more than the floor while another lacks.
        let floor = model.budget / u32::try_from(2 * living.len()).unwrap();
        let fair = most <= gateway.share + 1 || most <= floor.max(1);
        prop_assert!(!lacks || fair, "{gateway:?} lacks beside {living:?}");
    }
    Ok(())
}

#[test]
fn what_is_due_is_poured_one_by_one() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (_fixture, client) = runtime.block_on(with_client());
    let members = proptest::collection::vec((0..8_i32, 0..20_i32), 1..7);
    let world = (0..90_i32, members);
    cases(256)
        .run(&world, |(spare, members)| {
            let (low, high): (Vec<_>, Vec<_>) = members.iter().map(|(low, more)| (*low, low + more)).unzip();
            let capacity = low.iter().sum::<i32>() + spare;
            let sql = "select array_agg(catalog.fair_part($1, $2, $3, me::integer) order by me)
                       from generate_series(1, cardinality($2::integer[])) as me";
            let row = runtime.block_on(client.query_one(sql, &[&capacity, &low, &high])).unwrap();
            prop_assert_eq!(row.get::<_, Vec<i32>>(0), poured(capacity, &low, &high));
            Ok(())
        })
        .unwrap();
}

/// One unit after the other to whoever has least and may have more.
fn poured(capacity: i32, low: &[i32], high: &[i32]) -> Vec<i32> {
    let mut parts = low.to_vec();
    for _ in low.iter().sum::<i32>()..capacity {
        let open = (0..parts.len()).filter(|at| parts[*at] < high[*at]).min_by_key(|at| parts[*at]);
        let Some(next) = open else { break };
        parts[next] += 1;
    }
    parts
}

async fn with_client() -> (Fixture, Client) {
    let fixture = Fixture::new().await;
    let client = fixture.raw().await;
    (fixture, client)
}

/// A gateway as it renews through the typed interface.
struct Renewing<'a> {
    fixture: &'a Fixture,
    beat: GatewayHeartbeat,
    number: i64,
    answered: i64,
    /// Of what it holds, what its clients keep.
    long: u32,
}

impl<'a> Renewing<'a> {
    async fn start(fixture: &'a Fixture) -> Self {
        let beat = GatewayHeartbeat {
            id: GatewayId::generate(),
            name: "gateway".to_owned(),
            region: name("eu"),
            address: "127.0.0.1:6432".to_owned(),
            applied_revision: Revision::new(0),
        };
        fixture.catalog.gateway_heartbeat(&beat).await.unwrap();
        Self { fixture, beat, number: 0, answered: 0, long: 0 }
    }

    /// What it is told when it says that it has `share` and `floor` in force, holds and wants so much.
    async fn renew(
        &mut self,
        cluster: ClusterId,
        share: u32,
        floor: u32,
        held: u32,
        wanted: u32,
    ) -> (u32, u32) {
        self.number += 1;
        let lasts = Duration::from_secs(14);
        let renewal =
            LeaseRenewal { gateway: self.beat.id, number: self.number, answered: self.answered, lasts };
        let claim = LeaseClaim { cluster, share, floor, held, long: self.long, wanted };
        let shares = self.fixture.catalog.renew_leases(&renewal, &[claim]).await.unwrap();
        self.answered = self.number;
        (shares[0].share, shares[0].floor)
    }
}

#[tokio::test]
async fn one_gateway_gets_what_it_wants_and_a_twentieth_stays_free_for_the_next() {
    let fixture = Fixture::new().await;
    let cluster = fixture.cluster("eu-1").await.cluster.id;
    let mut first = Renewing::start(&fixture).await;
    assert_eq!(first.renew(cluster, 0, 0, 0, 100).await, (19, 10), "of a budget of 20");
    let mut second = Renewing::start(&fixture).await;
    assert_eq!(second.renew(cluster, 0, 0, 0, 100).await, (1, 1), "at once, as far as it is free");
    assert_eq!(first.renew(cluster, 19, 10, 19, 100).await, (10, 5), "half is due to the other");
    assert_eq!(second.renew(cluster, 1, 1, 1, 100).await, (1, 1), "not given back yet");
    assert_eq!(first.renew(cluster, 10, 5, 10, 100).await, (10, 5));
    assert_eq!(second.renew(cluster, 1, 1, 1, 100).await, (9, 5), "given back");
    let leases = fixture.catalog.budget_leases(Some(cluster)).await.unwrap();
    let shares: u32 = leases.iter().map(|lease| lease.share).sum();
    assert_eq!((leases.len(), shares), (2, 19));
}

#[tokio::test]
async fn what_clients_keep_and_one_connection_more_is_not_given_to_others() {
    let fixture = Fixture::new().await;
    let cluster = fixture.cluster("eu-1").await.cluster.id;
    let mut first = Renewing::start(&fixture).await;
    assert_eq!(first.renew(cluster, 0, 0, 0, 100).await.0, 19, "of a budget of 20");
    let mut second = Renewing::start(&fixture).await;
    second.renew(cluster, 0, 0, 0, 100).await;
    first.long = 14;
    assert_eq!(first.renew(cluster, 19, 10, 19, 100).await, (15, 5));
    assert_eq!(first.renew(cluster, 15, 5, 15, 100).await, (15, 5));
    assert_eq!(second.renew(cluster, 1, 1, 1, 100).await.0, 4);
    first.long = 11;
    assert_eq!(first.renew(cluster, 15, 5, 15, 100).await.0, 12, "its clients keep less");
}

/// As a release before this one would claim, whose clients may keep all of it for all that is known.
#[tokio::test]
async fn a_claim_that_says_nothing_of_what_clients_keep_is_taken_to_keep_everything() {
    let fixture = Fixture::new().await;
    let cluster = fixture.cluster("eu-1").await.cluster.id;
    let mut first = Renewing::start(&fixture).await;
    assert_eq!(first.renew(cluster, 0, 0, 0, 100).await.0, 19, "of a budget of 20");
    let mut second = Renewing::start(&fixture).await;
    second.renew(cluster, 0, 0, 0, 100).await;
    let claim = "select share from catalog.renew_leases($1::text::uuid, 2, 1, 14000, jsonb_build_array(jsonb_build_object(
        'cluster', $2::text, 'share', 19, 'floor', 10, 'held', 14, 'wanted', 100)))";
    let (gateway, cluster) = (first.beat.id.to_string(), cluster.to_string());
    let told = fixture.raw().await.query_one(claim, &[&gateway, &cluster]).await.unwrap();
    assert_eq!(told.get::<_, i32>(0), 15, "what it holds, and one connection more");
}

#[tokio::test]
async fn who_signs_off_or_claims_nothing_gives_its_share_back_at_once() {
    let fixture = Fixture::new().await;
    let cluster = fixture.cluster("eu-1").await.cluster.id;
    let mut wakeups = fixture.catalog.listen_budgets().await.unwrap();
    let (mut first, mut second) = (Renewing::start(&fixture).await, Renewing::start(&fixture).await);
    first.renew(cluster, 0, 0, 0, 100).await;
    second.renew(cluster, 0, 0, 0, 100).await;
    wakeups.next().await.unwrap();
    fixture.catalog.gateway_forget(first.beat.id).await.unwrap();
    wakeups.next().await.unwrap();
    assert_eq!(second.renew(cluster, 1, 1, 1, 100).await, (19, 10));
    second.number += 1;
    let (number, answered) = (second.number, second.answered);
    let lasts = Duration::from_secs(14);
    let renewal = LeaseRenewal { gateway: second.beat.id, number, answered, lasts };
    assert!(fixture.catalog.renew_leases(&renewal, &[]).await.unwrap().is_empty());
    assert!(fixture.catalog.budget_leases(None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_catalog_that_has_forgotten_a_lease_lets_nobody_grow_until_all_were_heard() {
    let fixture = Fixture::new().await;
    let cluster = fixture.cluster("eu-1").await.cluster.id;
    let (mut first, mut second) = (Renewing::start(&fixture).await, Renewing::start(&fixture).await);
    assert_eq!(first.renew(cluster, 0, 0, 0, 4).await.0, 14);
    let share = second.renew(cluster, 0, 0, 0, 4).await.0;
    fixture.raw().await.batch_execute("delete from catalog.gateways").await.unwrap();
    for gateway in [&first, &second] {
        fixture.catalog.gateway_heartbeat(&gateway.beat).await.unwrap();
    }
    assert_eq!(second.renew(cluster, share, 1, share, 100).await.0, share, "the other was not heard yet");
    assert_eq!(second.renew(cluster, share, 1, share, 100).await.0, share);
    assert!(first.renew(cluster, 14, 10, 14, 14).await.0 <= 14);
}

#[tokio::test]
async fn a_late_renewal_and_one_of_a_stranger_are_not_heard() {
    let fixture = Fixture::new().await;
    let cluster = fixture.cluster("eu-1").await.cluster.id;
    let mut gateway = Renewing::start(&fixture).await;
    let share = gateway.renew(cluster, 0, 0, 0, 100).await.0;
    gateway.renew(cluster, share, 10, share, 100).await;
    let lasts = Duration::from_secs(14);
    let claim = LeaseClaim { cluster, share: 0, floor: 0, held: 0, long: 0, wanted: 0 };
    for (gateway, number) in [(gateway.beat.id, 1), (GatewayId::generate(), 1)] {
        let renewal = LeaseRenewal { gateway, number, answered: 0, lasts };
        assert!(fixture.catalog.renew_leases(&renewal, &[claim]).await.unwrap().is_empty());
    }
    assert_eq!(fixture.catalog.budget_leases(None).await.unwrap()[0].share, share);
}
