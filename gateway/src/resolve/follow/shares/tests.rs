use super::*;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::time::timeout;

fn claim(share: u32, held: u32, wanted: u32) -> LeaseClaim {
    LeaseClaim { cluster: ClusterId::generate(), share, floor: 1, held, long: 0, wanted }
}

fn demand(held: u32, wanted: u32) -> Demand {
    Demand { held, wanted }
}

fn told(claim: LeaseClaim, share: u32, others_lack: bool) -> Share {
    let answer = BudgetShare { cluster: claim.cluster, share, floor: 1, budget: 20, others_lack };
    Share::told(claim, Some(&answer))
}

#[test]
fn the_catalog_is_asked_for_more_once() {
    let share = told(claim(5, 5, 4), 5, false);
    assert!(!share.wants_more(demand(5, 5)));
    assert!(share.wants_more(demand(5, 6)));
    let asked = told(claim(5, 5, 6), 5, false);
    assert!(!asked.wants_more(demand(5, 9)), "it says when there is more");
    let given = told(claim(5, 5, 6), 6, false);
    assert!(given.wants_more(demand(6, 9)));
}

#[test]
fn the_catalog_hears_once_that_a_share_is_held_whole() {
    let share = told(claim(5, 3, 1), 5, false);
    assert!(!share.wants_more(demand(4, 1)), "there is room");
    assert!(share.wants_more(demand(5, 1)), "although most of it is idle");
    let heard = told(claim(5, 5, 1), 5, false);
    assert!(!heard.wants_more(demand(5, 2)));
}

#[tokio::test]
async fn while_somebody_waits_demand_is_looked_at_again_though_nobody_tells_of_it() {
    let looks = AtomicU32::new(0);
    let grows_later = || looks.fetch_add(1, Ordering::Relaxed) >= 2;
    until(grows_later, || true, &Notify::new()).await;
    // And not otherwise.
    looks.store(0, Ordering::Relaxed);
    let never_told = Notify::new();
    let mut idle = pin!(until(grows_later, || false, &never_told));
    assert!(timeout(LOOK_INTERVAL * 4, &mut idle).await.is_err());
    assert_eq!(looks.load(Ordering::Relaxed), 1);
}

#[test]
fn what_others_wait_for_is_given_back_one_by_one_and_told_each_time() {
    let share = told(claim(10, 10, 10), 5, true);
    assert!(!share.gave_back(demand(10, 10)));
    assert!(share.gave_back(demand(9, 10)));
    let said = told(claim(5, 9, 10), 5, true);
    assert!(!said.gave_back(demand(9, 10)));
    assert!(said.gave_back(demand(4, 10)));
    let done = told(claim(5, 4, 10), 5, true);
    assert!(!done.gave_back(demand(3, 10)), "they wait for somebody else");
}

#[test]
fn a_share_that_nobody_waits_for_is_given_back_with_the_next_heartbeat() {
    let share = told(claim(10, 10, 2), 5, false);
    assert!(!share.gave_back(demand(5, 2)));
}

#[test]
fn the_floor_outlives_the_lease() {
    let mut share = told(claim(10, 10, 10), 10, true);
    share.expire();
    assert_eq!((share.share, share.floor, share.others_lack), (1, 1, false));
    let unknown = Share::told(claim(10, 10, 10), None);
    assert_eq!((unknown.share, unknown.floor), (0, 0), "there is no such cluster");
}
