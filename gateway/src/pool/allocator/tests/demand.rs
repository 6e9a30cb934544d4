//! What a gateway says that it could use, where its limit follows that.

use super::super::Terms;
use super::terms;
use super::world::World;
use std::time::Duration;

const BUDGET: u32 = 12;
const FLOOR: u32 = 3;

/// Has the limit follow demand until both stay as they are, as the catalog has it where a gateway is alone: what is
/// useful, and half of the rest.
fn limit_follows(world: &mut World, pools: &[usize]) {
    for _ in 0..BUDGET {
        world.pass(Duration::from_secs(1));
        let in_use = pools.iter().map(|pool| world.open_in(*pool)).sum();
        let useful = world.allocator.useful_limit(in_use).min(BUDGET);
        world.set_limit(useful + (BUDGET - useful) / 2);
    }
}

#[test]
fn who_waits_beside_a_floor_that_is_kept_free_is_served_as_far_as_the_budget_goes() {
    let mut world = World::new(BUDGET / 2);
    let owner = world.join(Terms { floor: FLOOR, ..terms(100, 5) }, 1);
    // Its transactions do not end.
    let grabber = world.join(terms(1_000, 50), 1_000_000_000);
    for number in 1..=BUDGET {
        world.arrive(grabber, 1);
        limit_follows(&mut world, &[owner, grabber]);
        assert_eq!(world.open_in(grabber), number.min(BUDGET - FLOOR));
    }
    world.arrive(owner, FLOOR);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.pools[owner].served, u64::from(FLOOR));
}

#[test]
fn floors_are_no_demand_where_nobody_lacks_anything() {
    let mut world = World::new(BUDGET);
    world.join(Terms { floor: FLOOR, ..terms(100, 5) }, 1);
    let other = world.join(terms(100, 5), 1_000_000_000);
    world.arrive(other, 2);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.allocator.useful_limit(2), 2);
}
