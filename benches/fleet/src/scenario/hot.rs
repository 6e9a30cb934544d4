//! One tenant with 500 clients that never stop, and 99 quiet ones: what the quiet ones notice.

use super::ScenarioError;
use super::bench::{Bench, LIMITS};
use super::beside::{self, BUDGET, QUIET};
use crate::plan::{Arrivals, Choice, Script, Stream};
use tenancy::Limits;

const USERS: u32 = 500;

/// Each request of the hot one holds a connection for so long.
const HELD_MS: u32 = 5;

pub(super) async fn play(bench: &mut Bench) -> Result<(), ScenarioError> {
    // Its own limit would let the hot one have the whole budget.
    let limits = Limits { pool_size: BUDGET, ..LIMITS };
    let mut hot = Stream::selects("hot", 1, 1, Arrivals::Closed(USERS), Choice::Own);
    (hot.script, hot.connections, hot.preconnect) = (Script::Sleep(HELD_MS), USERS, true);
    println!("## One tenant with {USERS} clients and {QUIET} quiet ones over {BUDGET} connections\n");
    beside::play(bench, limits, hot).await
}
