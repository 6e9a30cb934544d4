//! Chance, the same for the same seed on every machine: when the next request comes, and whose it is.
//!
//! Every thread draws the whole sequence of a stream and leaves out what is not its own, so the number of threads
//! changes nothing about it.

use crate::plan::Choice;
use rand::distr::weighted::WeightedIndex;
use rand::distr::{Distribution, StandardUniform};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use std::time::Duration;

/// The draws of one stream, or of one of its closed users.
pub(crate) struct Draw {
    random: Pcg64Mcg,
    rows: u32,
    chooser: Chooser,
}

enum Chooser {
    Own(u32),
    Turns { next: u32, tenants: u32 },
    Uniform(u32),
    Zipf(WeightedIndex<f64>),
}

impl Draw {
    /// `which` tells the sequences of one seed apart; it is also where turns begin and the tenant that is own.
    pub(crate) fn new(seed: u64, stream: u64, which: u32, choice: Choice, tenants: u32, rows: u32) -> Self {
        let random = Pcg64Mcg::seed_from_u64(seed ^ (stream << 48) ^ (u64::from(which) << 16));
        let tenants = tenants.max(1);
        let chooser = match choice {
            Choice::Own => Chooser::Own(which % tenants),
            Choice::Turns => Chooser::Turns { next: which % tenants, tenants },
            Choice::Uniform => Chooser::Uniform(tenants),
            Choice::Zipf(exponent) => Chooser::Zipf(zipf(tenants, exponent)),
        };
        Self { random, rows: rows.max(1), chooser }
    }

    /// Which tenant of the stream, from 0.
    pub(crate) fn tenant(&mut self) -> u32 {
        match &mut self.chooser {
            Chooser::Own(own) => *own,
            Chooser::Turns { next, tenants } => {
                let turn = *next;
                *next = (turn + 1) % *tenants;
                turn
            }
            Chooser::Uniform(tenants) => self.random.random_range(0..*tenants),
            Chooser::Zipf(weights) => u32::try_from(weights.sample(&mut self.random)).unwrap_or(u32::MAX),
        }
    }

    /// Which row of its table, from 1.
    pub(crate) fn key(&mut self) -> u32 {
        self.random.random_range(1..=self.rows)
    }

    /// How long until the next arrival of a Poisson process with `rate` arrivals a second.
    pub(crate) fn gap(&mut self, rate: f64) -> Duration {
        let uniform: f64 = StandardUniform.sample(&mut self.random);
        // `uniform` is below 1, so this is the logarithm of something above 0.
        Duration::try_from_secs_f64(-(1.0 - uniform).ln() / rate).unwrap_or(Duration::MAX)
    }
}

fn zipf(tenants: u32, exponent: f64) -> WeightedIndex<f64> {
    let weights = (1..=tenants).map(|rank| f64::from(rank).powf(-exponent));
    WeightedIndex::new(weights).expect("there is one tenant, and all weights are above 0 and finite")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(choice: Choice, tenants: u32) -> Draw {
        Draw::new(7, 1, 0, choice, tenants, 1000)
    }

    #[test]
    fn zipf_gives_each_rank_its_share() {
        const DRAWS: u32 = 400_000;
        let mut draw = draw(Choice::Zipf(1.0), 100);
        let mut counts = vec![0_u32; 100];
        for _ in 0..DRAWS {
            counts[usize::try_from(draw.tenant()).unwrap()] += 1;
        }
        let total: f64 = (1..=100).map(|rank| 1.0 / f64::from(rank)).sum();
        for (rank, count) in (1_u32..).zip(counts) {
            let expected = f64::from(DRAWS) / f64::from(rank) / total;
            // Five standard deviations of a Poisson count.
            let off = (f64::from(count) - expected).abs();
            assert!(off < 5.0 * expected.sqrt(), "rank {rank}: {count}, expected {expected:.0}");
        }
    }

    #[test]
    fn a_larger_exponent_prefers_the_first() {
        let share = |exponent| {
            let mut draw = draw(Choice::Zipf(exponent), 1000);
            (0..10_000).filter(|_| draw.tenant() == 0).count()
        };
        assert!(share(1.5) > 2 * share(1.0) && share(1.0) > 2 * share(0.5));
    }

    #[test]
    fn gaps_have_the_mean_and_the_spread_of_a_poisson_process() {
        const DRAWS: u32 = 200_000;
        let mut draw = draw(Choice::Turns, 1);
        let gaps: Vec<f64> = (0..DRAWS).map(|_| draw.gap(500.0).as_secs_f64()).collect();
        let mean = gaps.iter().sum::<f64>() / f64::from(DRAWS);
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / f64::from(DRAWS);
        assert!((mean * 500.0 - 1.0).abs() < 0.02, "mean {mean}");
        // An exponential distribution's standard deviation is its mean.
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.02, "variance {variance}");
    }

    #[test]
    fn turns_and_uniform_reach_everybody() {
        let mut turns = draw(Choice::Turns, 3);
        assert_eq!([0, 1, 2, 0, 1], [(); 5].map(|()| turns.tenant()));
        let mut uniform = draw(Choice::Uniform, 50);
        let mut seen = [false; 50];
        for _ in 0..2_000 {
            seen[usize::try_from(uniform.tenant()).unwrap()] = true;
        }
        assert!(seen.iter().all(|seen| *seen));
    }

    #[test]
    fn the_same_seed_gives_the_same_sequence_and_another_another() {
        let sequence = |seed| {
            let mut draw = Draw::new(seed, 0, 0, Choice::Zipf(1.1), 500, 1000);
            (0..100).map(|_| (draw.gap(10.0), draw.tenant(), draw.key())).collect::<Vec<_>>()
        };
        assert_eq!(sequence(1), sequence(1));
        assert_ne!(sequence(1), sequence(2));
    }
}
