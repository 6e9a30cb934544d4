use super::super::Terms;
use super::world::World;
use proptest::prelude::*;
use std::time::Duration;

#[derive(Debug, Clone)]
enum Step {
    Join(Terms, u64),
    JoinBeside(usize, u64),
    Arrive(usize, u32),
    GiveUp(usize, u32),
    KeepLong(usize),
    EndLong(usize),
    SetTerms(usize, Terms),
    SetLimit(u32),
    Leave(usize),
    Pass(u64),
}

fn terms() -> impl Strategy<Value = Terms> {
    (prop_oneof![3 => Just(0_u32), 1 => 0_u32..6], 1_u32..=1_000, 1_u32..8)
        .prop_map(|(floor, weight, cap)| Terms { floor, weight, cap })
}

fn step() -> impl Strategy<Value = Step> {
    let pool = 0_usize..16;
    prop_oneof![
        2 => (terms(), 0_u64..80).prop_map(|(terms, work)| Step::Join(terms, work)),
        2 => (pool.clone(), 0_u64..80).prop_map(|(pool, work)| Step::JoinBeside(pool, work)),
        8 => (pool.clone(), 1_u32..12).prop_map(|(pool, clients)| Step::Arrive(pool, clients)),
        2 => (pool.clone(), 1_u32..12).prop_map(|(pool, clients)| Step::GiveUp(pool, clients)),
        2 => pool.clone().prop_map(Step::KeepLong),
        2 => pool.clone().prop_map(Step::EndLong),
        2 => (pool.clone(), terms()).prop_map(|(pool, terms)| Step::SetTerms(pool, terms)),
        1 => (0_u32..20).prop_map(Step::SetLimit),
        1 => pool.prop_map(Step::Leave),
        8 => (0_u64..120).prop_map(Step::Pass),
    ]
}

/// Takes a step. What must always hold is asserted by the world itself.
fn take(world: &mut World, step: &Step) {
    let pools = world.pools.len();
    let exists = |pool: usize| (pools > 0).then(|| pool % pools.max(1));
    match step {
        Step::Join(terms, work) if pools < 16 => drop(world.join(*terms, *work)),
        Step::JoinBeside(pool, work) if pools < 16 => {
            if let Some(pool) = exists(*pool).filter(|pool| !world.pools[*pool].has_left()) {
                world.join_beside(pool, *work);
            }
        }
        Step::SetLimit(limit) => world.set_limit(*limit),
        Step::Pass(time) => world.pass(Duration::from_millis(*time)),
        Step::Arrive(pool, clients) => {
            if let Some(pool) = exists(*pool).filter(|pool| !world.pools[*pool].has_left()) {
                world.arrive(pool, *clients);
            }
        }
        Step::GiveUp(pool, clients) => {
            exists(*pool).into_iter().for_each(|pool| world.give_up(pool, *clients));
        }
        Step::KeepLong(pool) => {
            if let Some(pool) = exists(*pool).filter(|pool| !world.pools[*pool].has_left()) {
                let limit = world.allocator.holdings().long_limit;
                let before: u32 = world.allocator.holdings().long.iter().sum();
                assert!(!world.keep_long(pool) || before < limit);
            }
        }
        Step::EndLong(pool) => exists(*pool).into_iter().for_each(|pool| world.end_long(pool)),
        Step::SetTerms(pool, terms) => {
            exists(*pool).into_iter().for_each(|pool| world.set_terms(pool, *terms));
        }
        Step::Leave(pool) => exists(*pool).into_iter().for_each(|pool| world.leave(pool)),
        Step::Join(..) | Step::JoinBeside(..) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Whatever happens: never over the budget or a cap, nothing free while somebody may have it, no permit lost; and
    /// in the end everybody who waits is served.
    #[test]
    fn permits_are_kept_count_of_and_nobody_is_left_waiting(
        limit in 1_u32..20,
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::new(limit);
        for step in &steps {
            take(&mut world, step);
        }
        // Long holders let go, and there is one connection at least.
        for pool in 0..world.pools.len() {
            while world.pools[pool].long > 0 {
                world.end_long(pool);
            }
        }
        world.set_limit(limit);
        world.pass(Duration::from_secs(120));
        for pool in 0..world.pools.len() {
            prop_assert_eq!(world.pools[pool].waiters, 0, "pool {} still waits", pool);
        }
        prop_assert_eq!(world.allocator.wanted(), 0);
        prop_assert!(world.held() <= limit);
        for pool in 0..world.pools.len() {
            prop_assert!(world.pools[pool].has_left() || world.open_beside(pool) <= world.pools[pool].terms.cap);
        }
        for pool in 0..world.pools.len() {
            world.leave(pool);
        }
        world.pass(Duration::from_secs(1));
        prop_assert_eq!(world.held(), 0);
        prop_assert_eq!(world.allocator.holdings().held, 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Under constant demand of all, everybody has its floor, and beyond floors what its weight says.
    #[test]
    fn floors_are_kept_and_shares_follow_weights(
        weights in prop::collection::vec((1_u32..=10, 0_u32..4), 2..8),
        limit in 30_u32..60,
    ) {
        let mut world = World::new(limit);
        for (weight, floor) in &weights {
            world.greedy(Terms { floor: *floor, weight: weight * 100, cap: 60 }, 60, 10);
        }
        world.pass(Duration::from_secs(3));
        let held: Vec<u32> = (0..weights.len()).map(|pool| world.open_in(pool)).collect();
        for (held, (_, floor)) in held.iter().zip(&weights) {
            prop_assert!(held >= floor, "{} of a floor of {}", held, floor);
        }
        // Nobody could give one up to another and still have no less for its weight.
        for (giver, (of_giver, (giver_weight, floor))) in held.iter().zip(&weights).enumerate() {
            for (taker, (of_taker, (taker_weight, _))) in held.iter().zip(&weights).enumerate() {
                let is_above = giver != taker
                    && of_giver > floor
                    && (of_giver - 1) * taker_weight > (of_taker + 1) * giver_weight;
                prop_assert!(!is_above, "{giver} is above its share beside {taker}: {held:?} {weights:?}");
            }
        }
    }

    /// With more pools than connections, each is served again and again, however heavy the others are and however many
    /// connections its own clients keep.
    #[test]
    fn nobody_starves(pools in prop::collection::vec((1_u32..=6, 0_u32..3), 5..10), limit in 1_u32..4) {
        let mut world = World::new(100);
        for (pool, (weight, kept)) in pools.iter().enumerate() {
            world.join(Terms { floor: 0, weight: *weight, cap: 8 }, 10);
            world.arrive(pool, *kept);
            world.pass(Duration::from_millis(100));
            prop_assert!((0..*kept).all(|_| world.keep_long(pool)));
        }
        let kept_by_all: u32 = pools.iter().map(|(_, kept)| kept).sum();
        world.set_limit(limit + kept_by_all);
        for pool in 0..pools.len() {
            world.pools[pool].is_greedy = true;
            world.arrive(pool, 8);
        }
        let all: u32 = pools.iter().map(|(weight, _)| weight).sum();
        // Everybody's turns until the lightest has had one, and the changes between them.
        let round = Duration::from_millis(70) * (2 * all + 2 * u32::try_from(pools.len()).expect("few"));
        world.pass(round);
        for _ in 0..3 {
            let before: Vec<u64> = world.pools.iter().map(|pool| pool.served).collect();
            world.pass(round);
            for (pool, before) in world.pools.iter().zip(before) {
                prop_assert!(pool.served > before);
            }
        }
    }

    /// No pool keeps another of its tenant's from being served, however few connections the tenant may have and however
    /// many others want them.
    #[test]
    fn no_sibling_starves(
        tenants in prop::collection::vec((1_u32..=3, prop::collection::vec((1_u32..6, 1_u64..40), 1..=3)), 1..5),
        limit in 1_u32..8,
    ) {
        let mut world = World::new(limit);
        for (cap, pools) in &tenants {
            let first = world.pools.len();
            for (index, (clients, work)) in pools.iter().enumerate() {
                let pool = match index {
                    0 => world.join(Terms { floor: 0, weight: 100, cap: *cap }, *work),
                    _ => world.join_beside(first, *work),
                };
                world.pools[pool].is_greedy = true;
                world.arrive(pool, *clients);
            }
        }
        // Everybody's turns, with the transactions in which they end and the changes between them.
        let round = Duration::from_millis(110) * u32::try_from(3 * world.pools.len()).expect("few");
        world.pass(round);
        for _ in 0..3 {
            let before: Vec<u64> = world.pools.iter().map(|pool| pool.served).collect();
            world.pass(round);
            for (pool, before) in world.pools.iter().zip(before) {
                prop_assert!(pool.served > before);
            }
        }
    }
}
