//! What a cluster says that it could use, and when.

use super::route;
use crate::pool::allocator::{LongHold, MemberId, Terms};
use crate::pool::idle::Glance;
use crate::pool::{Cluster, ConnectPermit};
use catalog_schema::ClusterRecord;
use futures_util::{FutureExt, poll};
use std::pin::pin;
use std::sync::{Arc, Weak};
use tenancy::{TenantId, WEIGHT_DEFAULT};
use tokio::sync::Notify;

/// A cluster of which this gateway has a share, and what is told when that is too small.
fn cluster(share: u32) -> (Arc<Cluster>, Arc<Notify>) {
    let record = ClusterRecord::clone(&route().placement.expect("it is placed").cluster);
    let wanting = Arc::<Notify>::default();
    let record = ClusterRecord { connection_budget: 100, ..record };
    let cluster = Arc::new(Cluster::shared(record, Arc::clone(&wanting)));
    cluster.set_limit(share);
    (cluster, wanting)
}

fn member(cluster: &Arc<Cluster>, floor: u32) -> MemberId {
    let terms = Terms { floor, weight: WEIGHT_DEFAULT, cap: 50 };
    let glance = Glance::new(cluster.clock());
    cluster.join(TenantId::generate(), terms, Weak::new(), glance).0
}

fn was_told(wanting: &Notify) -> bool {
    wanting.notified().now_or_never().is_some()
}

fn hold(cluster: &Arc<Cluster>, member: MemberId, count: usize) -> Vec<ConnectPermit> {
    (0..count).map(|_| cluster.permit_for(member)).collect()
}

#[tokio::test]
async fn a_share_of_which_floors_keep_the_rest_is_said_to_be_too_small() {
    let (cluster, wanting) = cluster(6);
    let (_owner, other) = (member(&cluster, 3), member(&cluster, 0));
    let _held = hold(&cluster, other, 3);
    assert!(!was_told(&wanting) && !cluster.is_wanting());
    cluster.note_only(|allocator| allocator.want(other, 1));
    assert!(was_told(&wanting) && cluster.is_wanting());
    assert_eq!(cluster.demand().wanted, 7, "three in use, one more, and three kept free");
}

#[tokio::test]
async fn a_share_that_is_held_whole_is_said_to_be_before_anybody_lacks_any() {
    let (cluster, wanting) = cluster(2);
    let member = member(&cluster, 0);
    let mut held = hold(&cluster, member, 1);
    assert!(!was_told(&wanting));
    held.extend(hold(&cluster, member, 1));
    assert!(was_told(&wanting) && !cluster.is_wanting());
}

/// Of three, two may be kept; of four, three.
#[tokio::test]
async fn who_waits_to_keep_a_connection_has_the_share_grow() {
    let (cluster, wanting) = cluster(3);
    let member = member(&cluster, 0);
    let _held = hold(&cluster, member, 2);
    let _kept = [(); 2].map(|()| cluster.keep_long(member, LongHold::Session).expect("it may be kept"));
    let mut waiting = pin!(cluster.keep_long_in_turn(member, 1, LongHold::Session));
    assert!(poll!(&mut waiting).is_pending());
    assert!(was_told(&wanting) && cluster.is_wanting());
    assert_eq!(cluster.demand().wanted, 4);
    cluster.set_limit(4);
    assert!(waiting.await.is_some());
    assert!(!cluster.is_wanting());
}
