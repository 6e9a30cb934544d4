//! The gateways on record: which live, how far each has followed, and the numbers that cancel keys name them by.

use crate::fixture::{DEADLINE, Fixture, name};
use catalog_schema::{
    CatalogError, GATEWAY_LIVE_WITHIN, GATEWAY_NUMBER_MAX, GatewayHeartbeat, LeaseClaim, LeaseRenewal,
    Retention,
};
use std::collections::BTreeSet;
use std::time::Duration;
use tenancy::{GatewayId, Revision};
use tokio::task::JoinSet;

fn beat(address: &str) -> GatewayHeartbeat {
    GatewayHeartbeat {
        id: GatewayId::generate(),
        name: "gateway".to_owned(),
        region: name("eu"),
        address: address.to_owned(),
        applied_revision: Revision::new(5),
    }
}

#[tokio::test]
async fn living_gateways_that_are_behind_are_named() {
    let fixture = Fixture::migrated().await;
    let mut beat = beat("127.0.0.1:6432");
    let behind = |revision| {
        let catalog = fixture.catalog.clone();
        async move { catalog.gateways_behind(Revision::new(revision), DEADLINE).await.unwrap().len() }
    };
    fixture.catalog.gateway_heartbeat(&beat).await.unwrap();
    assert_eq!((behind(5).await, behind(6).await), (0, 1));
    beat.applied_revision = Revision::new(4);
    fixture.catalog.gateway_heartbeat(&beat).await.unwrap();
    assert_eq!(behind(5).await, 0, "a late heartbeat takes nothing back");
    let dead = fixture.catalog.gateways_behind(Revision::new(6), Duration::ZERO).await.unwrap();
    assert!(dead.is_empty(), "nobody waits for the dead");
    let unheard = fixture.catalog.gateways_unheard(Revision::new(6), Duration::ZERO).await.unwrap();
    assert_eq!(unheard.len(), 1, "but they are named");
    assert!(fixture.catalog.gateways_unheard(Revision::new(6), DEADLINE).await.unwrap().is_empty());
    assert!(fixture.catalog.gateways_unheard(Revision::new(5), Duration::ZERO).await.unwrap().is_empty());
    fixture.catalog.gateway_forget(beat.id).await.unwrap();
    assert!(fixture.catalog.gateways().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_gateway_keeps_the_smallest_number_that_was_free_when_it_came() {
    let fixture = Fixture::migrated().await;
    let gateways = [beat("a:1"), beat("b:1"), beat("c:1")];
    for (expected, gateway) in (1..).zip(&gateways) {
        assert_eq!(fixture.catalog.gateway_heartbeat(gateway).await, Ok(expected));
    }
    assert_eq!(fixture.catalog.gateway_heartbeat(&gateways[2]).await, Ok(3), "kept while it lives");
    fixture.catalog.gateway_forget(gateways[1].id).await.unwrap();
    assert_eq!(fixture.catalog.gateway_heartbeat(&beat("d:1")).await, Ok(2), "free again");
    let listed = fixture.catalog.gateway_addresses().await.unwrap();
    let expected = [(1, "a:1"), (2, "d:1"), (3, "c:1")].map(|(number, at)| (number, at.to_owned()));
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn the_dead_are_no_addresses_but_keep_their_numbers() {
    let fixture = Fixture::migrated().await;
    fixture.catalog.gateway_heartbeat(&beat("a:1")).await.unwrap();
    let seconds = GATEWAY_LIVE_WITHIN.as_secs() + 1;
    let age = format!("update catalog.gateways set heartbeat_at = now() - interval '{seconds} s'");
    fixture.raw().await.batch_execute(&age).await.unwrap();
    assert!(fixture.catalog.gateway_addresses().await.unwrap().is_empty());
    assert_eq!(fixture.catalog.gateway_heartbeat(&beat("b:1")).await, Ok(2), "it may only be cut off");
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_that_start_together_get_numbers_of_their_own() {
    let fixture = Fixture::migrated().await;
    let mut starting = JoinSet::new();
    for number in 0..20 {
        let catalog = fixture.catalog.clone();
        let gateway = beat(&format!("gateway-{number}:1"));
        starting.spawn(async move { catalog.gateway_heartbeat(&gateway).await.unwrap() });
    }
    let numbers: BTreeSet<u16> = starting.join_all().await.into_iter().collect();
    assert_eq!(numbers, (1..=20).collect());
}

#[tokio::test]
async fn when_every_number_is_taken_those_that_have_one_live_on() {
    let fixture = Fixture::migrated().await;
    let known = beat("known:1");
    fixture.catalog.gateway_heartbeat(&known).await.unwrap();
    let fill = format!(
        "insert into catalog.gateways (id, name, region, address, applied_revision, number)
         select gen_random_uuid(), 'g', 'eu', 'g:1', 0, n from generate_series(2, {GATEWAY_NUMBER_MAX}) n"
    );
    fixture.raw().await.batch_execute(&fill).await.unwrap();
    let refused = fixture.catalog.gateway_heartbeat(&beat("late:1")).await.unwrap_err();
    assert!(
        matches!(refused, CatalogError::LimitReached { max, .. } if max == u32::from(GATEWAY_NUMBER_MAX))
    );
    assert_eq!(fixture.catalog.gateway_heartbeat(&known).await, Ok(1));
}

/// Sets the last sign of life, and the ends of leases, back by more than a gateway may be silent for.
async fn fall_silent(fixture: &Fixture) {
    let seconds = GATEWAY_LIVE_WITHIN.as_secs() + 1;
    let age = format!(
        "update catalog.gateways set heartbeat_at = heartbeat_at - interval '{seconds} s',
           started_at = started_at - interval '{seconds} s';
         update catalog.budget_leases set expires_at = clock_timestamp()"
    );
    fixture.raw().await.batch_execute(&age).await.unwrap();
}

async fn on_record(fixture: &Fixture) -> Vec<GatewayId> {
    fixture.catalog.gateways().await.unwrap().into_iter().map(|record| record.gateway.id).collect()
}

#[tokio::test]
async fn a_silent_gateway_is_forgotten_by_name_and_a_living_one_only_by_force() {
    let fixture = Fixture::migrated().await;
    let (silent, living) = (beat("a:1"), beat("b:1"));
    fixture.catalog.gateway_heartbeat(&silent).await.unwrap();
    fall_silent(&fixture).await;
    fixture.catalog.gateway_heartbeat(&living).await.unwrap();
    let forget = async |which: &str, force| {
        let mut tx = fixture.tx().await;
        let outcome = tx.gateways_forget(which, force).await?;
        tx.commit().await?;
        let ids = |records: Vec<catalog_schema::GatewayRecord>| {
            records.into_iter().map(|record| record.gateway.id).collect::<Vec<_>>()
        };
        Ok::<_, CatalogError>((ids(outcome.gone), ids(outcome.living)))
    };
    assert_eq!(forget("gateway", false).await, Ok((vec![silent.id], vec![living.id])));
    assert_eq!(forget(&living.id.to_string(), false).await, Ok((Vec::new(), vec![living.id])));
    assert_eq!(on_record(&fixture).await, [living.id]);
    assert_eq!(forget(&living.id.to_string(), true).await, Ok((vec![living.id], Vec::new())));
    assert_eq!(forget("gateway", true).await, Err(CatalogError::NotFound { what: "gateway" }));
    let audited = "select count(*) from catalog.audit where action = 'gateway.forget' and target = 'gateway'";
    assert_eq!(fixture.raw().await.query_one(audited, &[]).await.unwrap().get::<_, i64>(0), 2);
}

#[tokio::test]
async fn a_gateway_whose_lease_lasts_is_not_taken_for_dead() {
    let fixture = Fixture::new().await;
    let gateway = beat("a:1");
    fixture.catalog.gateway_heartbeat(&gateway).await.unwrap();
    let cluster = fixture.cluster("eu-1").await.cluster.id;
    let renewal =
        LeaseRenewal { gateway: gateway.id, number: 1, answered: 0, lasts: Duration::from_secs(3_600) };
    let claim = LeaseClaim { cluster, share: 0, floor: 0, held: 0, long: 0, wanted: 1 };
    fixture.catalog.renew_leases(&renewal, &[claim]).await.unwrap();
    let seconds = GATEWAY_LIVE_WITHIN.as_secs() + 1;
    let age = format!("update catalog.gateways set heartbeat_at = now() - interval '{seconds} s'");
    fixture.raw().await.batch_execute(&age).await.unwrap();
    let mut tx = fixture.tx().await;
    let outcome = tx.gateways_forget("gateway", false).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!((outcome.gone.len(), outcome.living.len()), (0, 1));
}

#[tokio::test]
async fn a_gateway_whose_place_another_has_taken_is_pruned_and_one_that_may_be_cut_off_is_not() {
    let fixture = Fixture::migrated().await;
    let elsewhere = GatewayHeartbeat { name: "another".to_owned(), ..beat("10.0.0.7:6432") };
    let silent = [beat("10.0.0.7:6432"), beat("10.0.0.8:6432"), beat("127.0.0.1:6432"), elsewhere];
    for gateway in &silent {
        fixture.catalog.gateway_heartbeat(gateway).await.unwrap();
    }
    fall_silent(&fixture).await;
    let [successor, stranger] = [beat("10.0.0.7:6432"), beat("127.0.0.1:6432")];
    for gateway in [&successor, &stranger] {
        fixture.catalog.gateway_heartbeat(gateway).await.unwrap();
    }
    assert_eq!(fixture.catalog.prune(&Retention::default()).await.unwrap().gateways, 1);
    assert!(!on_record(&fixture).await.contains(&silent[0].id), "its place is taken");
    assert_eq!(on_record(&fixture).await.len(), 5);
    // The successor dies too, and nobody has come since.
    fall_silent(&fixture).await;
    assert_eq!(fixture.catalog.prune(&Retention::default()).await.unwrap().gateways, 0);
}
