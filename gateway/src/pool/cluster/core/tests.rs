use super::*;
use crate::pool::tests::route;
use std::sync::atomic::AtomicUsize;
use tenancy::WEIGHT_DEFAULT;

const TERMS: Terms = Terms { floor: 0, weight: WEIGHT_DEFAULT, cap: 1 };
const ROUNDS: usize = 20_000;

/// A cluster that allows one connection.
fn cluster() -> Arc<Cluster> {
    let record = ClusterRecord::clone(&route().placement.expect("it is placed").cluster);
    Arc::new(Cluster::new(ClusterRecord { connection_budget: 1, ..record }))
}

fn wait_for(rounds: &AtomicUsize, round: usize) {
    while rounds.load(Ordering::SeqCst) < round {
        std::thread::yield_now();
    }
}

/// One pool gives the only connection back at the moment at which another comes to want it.
#[test]
fn whoever_comes_to_lack_a_connection_or_whoever_has_one_idle_sees_the_other() {
    // Looks that are due later are entered with it, and never come.
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (cluster, begun, done) = (cluster(), AtomicUsize::new(0), AtomicUsize::new(0));
    let (has, wants) = (Glance::new(cluster.clock()), Glance::new(cluster.clock()));
    let (holder, _) = cluster.join(TenantId::generate(), TERMS, Weak::new(), Arc::clone(&has));
    let _permit = cluster.permit_for(holder);
    let (waiting, _) = cluster.join(TenantId::generate(), TERMS, Weak::new(), wants);
    let mut unseen = 0;
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let _in_runtime = runtime.enter();
            for round in 1..=ROUNDS {
                wait_for(&begun, round);
                let now = Instant::now();
                has.show(1, Some(now));
                if cluster.is_short() {
                    cluster.went_idle(now);
                }
                done.store(round, Ordering::SeqCst);
            }
        });
        let _in_runtime = runtime.enter();
        for round in 1..=ROUNDS {
            begun.store(round, Ordering::SeqCst);
            cluster.note_only(|allocator| allocator.want(waiting, 1));
            wait_for(&done, round);
            let is_seen = {
                let core = cluster.core();
                core.looks_at.is_some() || core.allocator.has_actions()
            };
            unseen += usize::from(!is_seen);
            has.show(0, None);
            cluster.note_only(|allocator| {
                allocator.want(waiting, 0);
                while allocator.next_action().is_some() {
                    allocator.evicted(holder, false);
                }
            });
            cluster.core().looks_at = None;
            cluster.looks_at_us.store(u64::MAX, Ordering::SeqCst);
        }
    });
    assert_eq!(unseen, 0, "of {ROUNDS} rounds");
}

/// The runtime on which a look was to come has ended.
#[test]
fn a_look_that_was_lost_is_asked_for_again() {
    let (cluster, runtime) =
        (cluster(), tokio::runtime::Builder::new_current_thread().build().expect("a runtime"));
    let _in_runtime = runtime.enter();
    let now = cluster.clock();
    cluster.went_idle(now);
    let first = cluster.core().looks_at;
    assert_eq!(first, Some(IDLE_BEFORE_TAKEN));
    cluster.went_idle(now + LOST_AFTER);
    assert_eq!(cluster.core().looks_at, first, "it may only be late");
    let later = now + 2 * LOST_AFTER;
    cluster.went_idle(later);
    assert_eq!(cluster.core().looks_at, Some(2 * LOST_AFTER + IDLE_BEFORE_TAKEN));
}
