//! One tenant that asks ten times as fast as its plan allows, and 99 quiet ones: what it gets, and what they notice.

use super::ScenarioError;
use super::bench::{Bench, LIMITS};
use super::beside::{self, QUIET};
use crate::plan::{Arrivals, Choice, Stream};
use tenancy::Limits;

/// What each tenant's plan allows, and how much of that the flooding one asks for.
const RATE: u32 = 100;
const FLOOD: f64 = 10.0;

/// Its clients: more than can wait for their turn.
const CLIENTS: u32 = 500;

pub(super) async fn play(bench: &mut Bench) -> Result<(), ScenarioError> {
    let limits = Limits { requests_per_second: RATE, request_burst: RATE, ..LIMITS };
    let offered = f64::from(RATE) * FLOOD;
    let mut flooding = Stream::selects("flooding", 1, 1, Arrivals::Open(offered), Choice::Own);
    (flooding.connections, flooding.preconnect) = (CLIENTS, true);
    println!("## A tenant at {FLOOD} × its rate of {RATE} requests a second, and {QUIET} quiet ones\n");
    beside::play(bench, limits, flooding).await
}
