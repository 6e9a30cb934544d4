//! Pools of which clients keep connections for longer than a transaction.

use super::super::{Action, Allocator, Idle, LongHold};
use super::terms;
use super::world::World;
use std::time::Duration;
use tenancy::TenantId;

const SECOND: Duration = Duration::from_secs(1);

/// A pool whose clients keep so many connections.
fn keeper(world: &mut World, weight: u32, kept: u32) -> usize {
    let pool = world.join(terms(weight, 20), 1);
    world.arrive(pool, kept);
    world.pass(SECOND);
    for _ in 0..kept {
        assert!(world.keep_long(pool));
    }
    pool
}

fn busy(world: &mut World, pools: &[usize], clients: u32) {
    for pool in pools {
        world.pools[*pool].is_greedy = true;
        world.arrive(*pool, clients);
    }
}

#[test]
fn who_keeps_connections_is_served_as_well_as_who_keeps_none() {
    let mut world = World::new(10);
    let keeper = keeper(&mut world, 100, 6);
    let other = world.join(terms(100, 20), 1);
    busy(&mut world, &[other, keeper], 10);
    world.pass(SECOND);
    assert_eq!((world.open_in(keeper), world.open_in(other)), (8, 2), "each has two for transactions");
    // And nobody takes from the other what is taken back at once.
    let grants = world.allocator.grants();
    world.pass(SECOND);
    assert_eq!(world.allocator.grants(), grants);
}

#[test]
fn keepers_take_turns_at_what_is_left() {
    let mut world = World::new(5);
    let pools = [2, 2, 0].map(|kept| keeper(&mut world, 100, kept));
    busy(&mut world, &pools, 3);
    world.pass(SECOND);
    let before = pools.map(|pool| world.pools[pool].served);
    let grants = world.allocator.grants();
    world.pass(3 * SECOND);
    for (pool, before) in pools.iter().zip(before) {
        assert!(world.pools[*pool].served > before + 500, "a third of the time");
    }
    assert!(world.allocator.grants() - grants <= 60, "a turn lasts 50 ms");
}

#[test]
fn who_waits_moves_up_as_its_connections_are_kept() {
    let mut allocator = Allocator::new(4, 80);
    let [keeper, other, third] = [(); 3].map(|()| allocator.join(TenantId::generate(), terms(100, 20)).0);
    for member in [keeper, keeper, other, third] {
        allocator.take(member);
    }
    allocator.want(other, 1);
    allocator.want(keeper, 1);
    assert!((0..2).all(|_| allocator.keep_long(keeper, LongHold::Pinned)));
    allocator.set_limit(5);
    allocator.settle(SECOND, |_| Idle::default());
    let granted =
        std::iter::from_fn(|| allocator.next_action()).find(|action| matches!(action, Action::Grant(_)));
    assert_eq!(granted, Some(Action::Grant(keeper)));
}
