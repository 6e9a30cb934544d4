use super::{FairQueue, Place, Turn};
use proptest::prelude::*;

/// Owners who always want another turn.
struct Owners {
    queue: FairQueue<usize>,
    owners: Vec<Owner>,
}

struct Owner {
    weight: u32,
    turn: Turn,
    place: Option<Place<()>>,
    served: u64,
}

impl Owners {
    fn new(weights: &[u32]) -> Self {
        let owner = |weight: &u32| Owner { weight: *weight, turn: Turn::default(), place: None, served: 0 };
        let mut owners = Self { queue: FairQueue::default(), owners: weights.iter().map(owner).collect() };
        for index in 0..weights.len() {
            owners.enter(index, false);
        }
        owners
    }

    fn enter(&mut self, index: usize, busy: bool) {
        let owner = &mut self.owners[index];
        owner.place = Some(self.queue.enter(index, (), owner.turn, busy));
    }

    fn leave(&mut self, index: usize) {
        if let Some(place) = self.owners[index].place.take() {
            self.queue.leave(index, place);
        }
    }

    /// Serves one turn; its owner wants the next at once.
    fn serve(&mut self) -> usize {
        let (index, place) = self.queue.first().expect("somebody waits");
        self.leave(index);
        let owner = &mut self.owners[index];
        owner.turn = self.queue.serve(place, owner.weight);
        owner.served += 1;
        self.enter(index, true);
        index
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn turns_follow_weights(weights in prop::collection::vec(1_u32..=1_000, 2..12)) {
        let mut owners = Owners::new(&weights);
        let all: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let turns = 4_000_u64;
        for _ in 0..turns {
            owners.serve();
        }
        for owner in &owners.owners {
            let due = turns * u64::from(owner.weight) / all;
            // One turn either way for the start, one for the end, and a thousandth for whole numbers of the clock.
            let slack = 3 + turns / 1_000;
            prop_assert!(owner.served.abs_diff(due) <= slack, "{} of {due}", owner.served);
        }
    }

    #[test]
    fn who_waits_is_overtaken_no_more_often_than_weights_say(
        weights in prop::collection::vec(1_u32..=1_000, 2..12),
        before in 0_usize..200,
    ) {
        let mut owners = Owners::new(&weights);
        for _ in 0..before {
            owners.serve();
        }
        // The last one comes back after a while.
        let last = weights.len() - 1;
        owners.leave(last);
        for _ in 0..before {
            owners.serve();
        }
        owners.enter(last, false);
        let own = f64::from(weights[last]);
        let bound: f64 = weights[..last].iter().map(|weight| f64::from(*weight) / own + 2.0).sum();
        let mut overtaken = 0.0;
        while owners.serve() != last {
            overtaken += 1.0;
            prop_assert!(overtaken <= bound, "overtaken {overtaken} times, the bound is {bound}");
        }
    }

    #[test]
    fn being_away_earns_nothing(away in 1_usize..500) {
        let mut owners = Owners::new(&[10, 10]);
        owners.leave(1);
        for _ in 0..away {
            owners.serve();
        }
        owners.enter(1, false);
        for _ in 0..100 {
            owners.serve();
        }
        prop_assert!(owners.owners[1].served.abs_diff(50) <= 1, "{}", owners.owners[1].served);
    }
}

#[test]
fn a_rank_goes_before_turns_and_arrival_decides_among_equals() {
    let mut queue: FairQueue<u8, u8> = FairQueue::default();
    let late = queue.enter(1, 1, Turn::default(), false);
    queue.enter(2, 1, Turn::default(), false);
    let had_many = queue.serve_again(Turn::default(), 1);
    queue.enter(3, 0, had_many, true);
    assert_eq!(queue.first().map(|(owner, _)| owner), Some(3));
    assert!(!queue.would_be_first(0, had_many));
    assert!(queue.would_be_first(0, Turn::default()));
    let late = queue.rerank(1, late, 0);
    assert_eq!((queue.first().map(|(owner, _)| owner), late.rank()), (Some(1), 0));
    queue.leave(1, late);
    assert_eq!((queue.first().map(|(owner, _)| owner), queue.len()), (Some(3), 2));
}
