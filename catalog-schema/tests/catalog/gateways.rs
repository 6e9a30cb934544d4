//! The gateways on record: which live, how far each has followed, and the numbers that cancel keys name them by.

use crate::fixture::{DEADLINE, Fixture, name};
use catalog_schema::{CatalogError, GATEWAY_LIVE_WITHIN, GATEWAY_NUMBER_MAX, GatewayHeartbeat};
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
