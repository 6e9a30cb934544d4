//! Pools of one tenant: what they have together, and what they give to one another.

use super::super::reclaim::IDLE_BEFORE_TAKEN;
use super::super::{Allocator, LongHold, Terms};
use super::terms;
use super::world::World;
use std::time::Duration;
use tenancy::TenantId;

const SECOND: Duration = Duration::from_secs(1);
/// A transaction, a close and a login.
const CHANGE: Duration = Duration::from_millis(10);

/// The pools of one tenant, with so many clients each that come back as soon as they were served.
fn greedy(world: &mut World, terms: Terms, clients: &[u32], work_ms: u64) -> Vec<usize> {
    let first = world.join(terms, work_ms);
    let others = clients[1..].iter().map(|_| world.join_beside(first, work_ms)).collect::<Vec<_>>();
    let pools: Vec<usize> = std::iter::once(first).chain(others).collect();
    for (pool, clients) in pools.iter().zip(clients) {
        world.pools[*pool].is_greedy = true;
        world.arrive(*pool, *clients);
    }
    pools
}

fn open_in(world: &World, pools: &[usize]) -> Vec<u32> {
    pools.iter().map(|pool| world.open_in(*pool)).collect()
}

#[test]
fn a_tenant_has_no_more_for_having_several_pools() {
    let mut world = World::new(12);
    let three = greedy(&mut world, terms(100, 50), &[50, 50, 50], 1);
    let one = greedy(&mut world, terms(100, 50), &[50], 1);
    world.pass(SECOND);
    assert_eq!((open_in(&world, &three), open_in(&world, &one)), (vec![2, 2, 2], vec![6]));
    let due: Vec<u32> =
        three.iter().map(|pool| world.allocator.standing(world.pools[*pool].id).share).collect();
    assert_eq!(due, [6, 6, 6]);
}

#[test]
fn a_floor_is_kept_once() {
    let mut world = World::new(20);
    let owner = world.join(Terms { floor: 4, weight: 100, cap: 10 }, 1);
    let (writer, reader) = (world.join_beside(owner, 1), world.join_beside(owner, 1));
    assert_eq!(world.allocator.holdings().reserved, 4);
    world.arrive(reader, 1);
    assert_eq!(world.allocator.holdings().reserved, 3);
    world.leave(owner);
    world.leave(reader);
    world.pass(SECOND);
    assert_eq!(world.allocator.holdings().reserved, 4);
    world.leave(writer);
    assert_eq!(world.allocator.holdings().reserved, 0);
}

#[test]
fn the_only_connection_goes_from_one_to_the_other_as_soon_as_it_is_idle_for_a_moment() {
    let mut world = World::new(10);
    let owner = world.join(terms(100, 1), 1);
    let reader = world.join_beside(owner, 1);
    world.arrive(owner, 1);
    world.pass(Duration::from_millis(5));
    world.arrive(reader, 1);
    assert_eq!(open_in(&world, &[owner, reader]), [1, 0], "its client may come back at once");
    world.pass(IDLE_BEFORE_TAKEN + CHANGE);
    assert_eq!((world.open_in(owner), world.pools[reader].served), (0, 1));
}

#[test]
fn who_has_several_gives_one_up_at_the_end_of_a_transaction() {
    let mut world = World::new(10);
    let owner = greedy(&mut world, terms(100, 2), &[10], 2)[0];
    world.pass(SECOND);
    let reader = world.join_beside(owner, 2);
    world.arrive(reader, 1);
    world.pass(CHANGE);
    assert_eq!(world.pools[reader].served, 1);
    assert_eq!(world.open_beside(owner), 2);
}

#[test]
fn equals_share_what_their_tenant_may_have_and_change_nothing_then() {
    let mut world = World::new(10);
    let pools = greedy(&mut world, terms(100, 5), &[10, 10], 3);
    world.pass(SECOND);
    let held = open_in(&world, &pools);
    assert!(held == [3, 2] || held == [2, 3], "{held:?}");
    let grants = world.allocator.grants();
    world.pass(10 * SECOND);
    assert_eq!((open_in(&world, &pools), world.allocator.grants()), (held, grants));
}

#[test]
fn who_has_none_gets_a_turn_and_nobody_else_pays_for_it() {
    for (cap, clients) in [(1, &[3, 3][..]), (1, &[3, 1, 2]), (2, &[9, 9, 9])] {
        let mut world = World::new(10);
        let pools = greedy(&mut world, terms(100, cap), clients, 5);
        let stranger = greedy(&mut world, terms(100, 3), &[3], 5)[0];
        world.pass(SECOND);
        let connections = world.grants_in_order.iter().filter(|pool| **pool == stranger).count();
        assert_eq!(connections, 3, "no shortage but inside");
        for _ in 0..5 {
            let before: Vec<u64> = pools.iter().map(|pool| world.pools[*pool].served).collect();
            // Everybody's turn of 50 ms, and the changes between them.
            world.pass(Duration::from_millis(65) * 3);
            for (pool, before) in pools.iter().zip(before) {
                assert!(world.pools[*pool].served > before, "{pool} of {clients:?} at {cap}");
            }
        }
    }
}

#[test]
fn an_idle_connection_is_found_although_others_have_all_that_is_due_to_them() {
    let mut world = World::new(4);
    let owner = world.join(terms(100, 4), 1);
    world.arrive(owner, 2);
    world.pass(CHANGE);
    greedy(&mut world, terms(100, 2), &[2], 1);
    let reader = world.join_beside(owner, 1);
    world.pass(CHANGE);
    world.arrive(reader, 1);
    world.pass(CHANGE);
    assert_eq!(open_in(&world, &[owner, reader]), [1, 1]);
}

#[test]
fn a_lowered_cap_is_reached_by_all_together() {
    let mut world = World::new(20);
    let pools = greedy(&mut world, terms(100, 9), &[5, 5, 5], 3);
    world.pass(SECOND);
    assert_eq!(world.open_beside(pools[0]), 9);
    world.set_terms(pools[0], terms(100, 2));
    assert_eq!(world.open_beside(pools[0]), 9, "leased ones stay until their transactions end");
    world.pass(SECOND);
    assert_eq!(world.open_beside(pools[0]), 2);
    let idle = world.join(terms(100, 9), 1);
    world.arrive(idle, 6);
    world.pass(SECOND);
    world.set_terms(idle, terms(100, 4));
    assert_eq!(world.open_in(idle), 4, "idle ones go at once, and no more than exceed it");
}

#[test]
fn who_has_left_does_not_keep_its_tenant_from_anything() {
    let mut world = World::new(10);
    let owner = world.join(terms(100, 1), 60_000);
    world.arrive(owner, 1);
    world.pass(SECOND);
    let reader = world.join_beside(owner, 1);
    world.leave(owner);
    world.arrive(reader, 1);
    world.pass(CHANGE);
    assert_eq!(world.pools[reader].served, 1);
    assert_eq!(world.held(), 2);
}

#[test]
fn listeners_leave_one_connection_of_their_tenants_to_transactions() {
    let mut allocator = Allocator::new(100, 80);
    let tenant = TenantId::generate();
    let [owner, writer, reader] = [(); 3].map(|()| allocator.join(tenant, terms(100, 3)).0);
    assert!(
        allocator.keep_long(owner, LongHold::Listener) && allocator.keep_long(writer, LongHold::Listener)
    );
    assert!(allocator.keep_long(owner, LongHold::Listener), "its former one is about to go");
    allocator.end_long(owner, LongHold::Listener);
    assert!(!allocator.keep_long(reader, LongHold::Listener));
    assert!(allocator.keep_long(reader, LongHold::Pinned), "its client has asked for it");
    assert!(!allocator.change_long(reader, LongHold::Pinned, LongHold::Listener));
    allocator.end_long(owner, LongHold::Listener);
    assert!(allocator.change_long(reader, LongHold::Pinned, LongHold::Listener));
    assert_eq!(allocator.holdings().long, [0, 0, 2]);
    allocator.set_terms(owner, terms(100, 2));
    assert!(allocator.listens_on_all(writer));
    allocator.end_long(reader, LongHold::Listener);
    assert!(!allocator.listens_on_all(writer));
}
