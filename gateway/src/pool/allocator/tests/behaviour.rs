use super::super::reclaim::IDLE_BEFORE_TAKEN;
use super::super::{Allocator, Idle, Phase, Terms};
use super::terms;
use super::world::World;
use std::time::{Duration, Instant};
use tenancy::TenantId;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn who_has_least_for_its_weight_is_served_first() {
    let mut world = World::new(12);
    world.greedy(terms(100, 50), 50, 1);
    world.greedy(terms(300, 50), 50, 1);
    world.greedy(terms(200, 50), 50, 1);
    world.pass(SECOND);
    let held: Vec<u32> = (0..3).map(|pool| world.open_in(pool)).collect();
    assert_eq!(held, [2, 6, 4]);
    let due: Vec<u32> = world.pools.iter().map(|pool| world.allocator.standing(pool.id).share).collect();
    assert_eq!(due, held);
}

#[test]
fn a_newcomer_gets_its_share_from_whoever_has_most_at_the_end_of_a_transaction() {
    let mut world = World::new(20);
    let hot = world.greedy(terms(100, 50), 500, 2);
    world.pass(SECOND);
    assert_eq!(world.open_in(hot), 20);
    for _ in 0..19 {
        let cold = world.join(terms(100, 50), 2);
        world.arrive(cold, 1);
        // One transaction of the hot one, a close, a login and its own transaction.
        world.pass(Duration::from_millis(10));
        assert_eq!(world.pools[cold].served, 1);
    }
    assert!(world.open_in(hot) >= 1);
}

#[test]
fn an_idle_connection_of_the_one_furthest_above_its_share_goes_first() {
    let mut world = World::new(10);
    let (some, most) = (world.join(terms(100, 10), 1), world.join(terms(100, 10), 1));
    world.arrive(some, 3);
    world.pass(SECOND);
    world.arrive(most, 7);
    world.pass(SECOND);
    let third = world.join(terms(100, 10), 1);
    world.arrive(third, 3);
    world.pass(Duration::from_millis(3));
    assert_eq!((world.open_in(some), world.open_in(most)), (3, 4));
}

#[test]
fn what_was_unused_for_longest_goes_when_nobody_is_above_its_share() {
    let mut world = World::new(4);
    let pools: Vec<usize> = (0..4).map(|_| world.join(terms(100, 10), 1)).collect();
    for pool in &pools {
        world.arrive(*pool, 1);
        world.pass(Duration::from_millis(20));
    }
    world.arrive(pools[0], 1);
    world.pass(Duration::from_millis(20));
    let newcomer = world.join(terms(100, 10), 1);
    world.arrive(newcomer, 1);
    world.pass(Duration::from_millis(10));
    let held: Vec<u32> = pools.iter().map(|pool| world.open_in(*pool)).collect();
    assert_eq!((held, world.open_in(newcomer)), (vec![1, 0, 1, 1], 1));
}

#[test]
fn a_connection_that_was_just_used_is_left_for_a_moment() {
    let mut world = World::new(1);
    let first = world.join(terms(100, 10), 1);
    world.arrive(first, 1);
    world.pass(Duration::from_millis(5));
    let second = world.join(terms(100, 10), 1);
    world.arrive(second, 1);
    assert_eq!(world.open_in(first), 1);
    world.pass(IDLE_BEFORE_TAKEN + Duration::from_millis(1));
    assert_eq!((world.open_in(first), world.open_in(second)), (0, 1));
}

#[test]
fn a_floor_stays_free_for_its_owner_and_is_taken_from_nobody() {
    let mut world = World::new(10);
    let owner = world.join(Terms { floor: 4, weight: 1, cap: 10 }, 1);
    let hot = world.greedy(terms(1_000, 50), 500, 1);
    world.pass(SECOND);
    assert_eq!((world.open_in(hot), world.open_in(owner)), (6, 0));
    assert_eq!(world.allocator.holdings().reserved, 4);
    world.arrive(owner, 4);
    assert_eq!(world.pools[owner].opening, 4, "at once");
    world.pass(SECOND);
    // Idle, and yet nobody's but its own.
    assert_eq!((world.open_in(hot), world.open_in(owner)), (6, 4));
}

#[test]
fn floors_that_exceed_the_limit_together_shrink_in_proportion() {
    let mut world = World::new(10);
    let small = world.join(Terms { floor: 5, weight: 1, cap: 50 }, 1);
    let large = world.join(Terms { floor: 15, weight: 1, cap: 50 }, 1);
    for pool in [small, large] {
        world.pools[pool].is_greedy = true;
        world.arrive(pool, 50);
    }
    world.pass(SECOND);
    let held = (world.open_in(small), world.open_in(large));
    assert!(held.0 >= 2 && held.1 >= 6, "{held:?}");
    for _ in 0..1_000 {
        world.join(Terms { floor: 1, weight: 1, cap: 50 }, 1);
    }
    assert_eq!(world.allocator.holdings().reserved, 0, "nothing is kept where there is not one for each");
}

#[test]
fn a_lowered_limit_is_reached_without_cutting_anybody() {
    let mut world = World::new(20);
    let pools: Vec<usize> = (0..4).map(|_| world.greedy(terms(100, 10), 20, 3)).collect();
    world.pass(SECOND);
    world.set_limit(5);
    assert_eq!(world.held(), 20, "leased ones stay until their transactions end");
    world.pass(SECOND);
    assert_eq!(world.held(), 5);
    world.set_limit(12);
    world.pass(SECOND);
    assert_eq!(world.held(), 12);
    assert!(pools.iter().all(|pool| world.open_in(*pool) == 3));
}

#[test]
fn turns_follow_weights_when_there_are_more_pools_than_connections() {
    let mut world = World::new(4);
    let light: Vec<usize> = (0..12).map(|_| world.greedy(terms(100, 1), 1, 5)).collect();
    let heavy: Vec<usize> = (0..3).map(|_| world.greedy(terms(300, 1), 1, 5)).collect();
    world.pass(Duration::from_secs(40));
    let served = |pools: &[usize]| {
        let sum: u64 = pools.iter().map(|pool| world.pools[*pool].served).sum();
        sum / u64::try_from(pools.len()).expect("few")
    };
    let ratio_percent = served(&heavy) * 100 / served(&light);
    assert!((250..=350).contains(&ratio_percent), "{ratio_percent} % of a light one's turns");
}

#[test]
fn nobody_waits_for_more_than_everybodys_turn() {
    let mut world = World::new(10);
    let pools: Vec<usize> = (0..100).map(|_| world.greedy(terms(100, 20), 10, 2)).collect();
    world.pass(Duration::from_secs(2));
    let mut before: Vec<u64> = pools.iter().map(|pool| world.pools[*pool].served).collect();
    for _ in 0..5 {
        // A hundred turns on ten connections, each with what ends it and begins the next.
        world.pass(Duration::from_millis(700));
        for (pool, before) in pools.iter().zip(&mut before) {
            assert!(world.pools[*pool].served > *before, "a pool was served nothing in a whole round");
            *before = world.pools[*pool].served;
        }
    }
}

#[test]
fn long_holders_leave_a_share_to_transactions() {
    let mut world = World::new(10);
    let greedy = world.join(terms(1_000, 10), 1);
    world.arrive(greedy, 10);
    world.pass(Duration::from_millis(8));
    assert_eq!((0..10).filter(|_| world.keep_long(greedy)).count(), 8);
    let other = world.join(terms(1, 10), 1);
    world.arrive(other, 3);
    world.pass(Duration::from_millis(50));
    assert_eq!(world.pools[other].served, 3);
    let mut alone = Allocator::new(1, 100);
    let member = alone.join(TenantId::generate(), terms(1, 1)).0;
    assert!(!alone.keep_long(member, super::super::LongHold::Listener), "one stays for transactions");
}

#[test]
fn one_connection_stays_for_transactions_when_the_limit_falls_below_the_long_holders() {
    let mut world = World::new(10);
    let keeper = world.join(terms(1_000, 10), 1);
    world.arrive(keeper, 10);
    world.pass(Duration::from_millis(8));
    assert_eq!((0..10).filter(|_| world.keep_long(keeper)).count(), 8);
    world.join(Terms { floor: 3, weight: 100, cap: 10 }, 1);
    world.set_limit(5);
    world.pass(SECOND);
    assert_eq!(world.held(), 9, "nothing else can be given up");
    let others = [world.join(terms(1, 10), 1), world.join(terms(1, 10), 1)];
    for other in others {
        world.arrive(other, 20);
    }
    world.pass(SECOND);
    assert!(others.iter().all(|other| world.pools[*other].served == 20));
    // Each that lets go takes the limit nearer.
    for left in (4..8).rev() {
        world.end_long(keeper);
        world.pass(SECOND);
        assert_eq!(world.held(), left + 1);
    }
    assert_eq!(world.allocator.in_force(), 5);
    world.set_limit(0);
    assert_eq!(world.allocator.in_force(), 0, "it may hold nothing at all");
}

/// What it costs to serve a claim while others know of a hundred thousand pools.
fn cost_with(known: u32) -> Duration {
    let mut allocator = Allocator::new(100, 80);
    for _ in 0..known {
        let _ = allocator.join(TenantId::generate(), Terms { floor: 1, weight: 100, cap: 20 });
    }
    let members: Vec<_> = (0..100).map(|_| allocator.join(TenantId::generate(), terms(100, 20)).0).collect();
    let started = Instant::now();
    for round in 0..200 {
        for member in &members {
            allocator.want(*member, 1);
            allocator.settle(Duration::from_millis(round), |_| Idle::default());
            while allocator.next_action().is_some() {
                allocator.took(*member, 0);
                allocator.returned(*member, Phase::Open);
            }
        }
    }
    started.elapsed()
}

#[test]
fn pools_that_hold_nothing_cost_nothing() {
    let (few, many) = (cost_with(10), cost_with(100_000));
    assert!(many < few * 10 + Duration::from_millis(200), "{few:?} with few, {many:?} with many");
}
