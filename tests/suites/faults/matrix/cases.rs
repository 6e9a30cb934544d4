//! Which faults there are, and which of them a run tries.

use super::victim::Patience;
use crate::conversations::Conversation;
use harness::messages::{Lie, Mischief, Place, Plan, Tally};
use harness::{Direction, End};
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};

/// Cases that a run takes of each conversation, unless it takes all.
const SAMPLE: usize = 10;

/// Changed by `TENANTRY_SEED`, to try another sample.
const SEED: u64 = 3;

/// On which side of the gateway the fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

/// One conversation with one fault.
#[derive(Debug, Clone)]
pub(super) struct Case {
    side: Side,
    conversation: &'static str,
    pub(super) plan: Plan,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { direction, message, place, mischief } = self.plan;
        let to = match (self.side, direction) {
            (Side::Client, Direction::ToTarget) => "from the client",
            (Side::Client, Direction::FromTarget) => "to the client",
            (Side::Server, Direction::ToTarget) => "to the server",
            (Side::Server, Direction::FromTarget) => "from the server",
        };
        write!(f, "{}, message {message} {to}, {mischief:?} {place:?}", self.conversation)
    }
}

const ENDS: [End; 4] = [End::Close, End::Reset, End::HalfClose, End::BlackHole];
const PLACES: [Place; 3] = [Place::Before, Place::Within, Place::After];
const LIES: [Lie; 6] = [Lie::Ready, Lie::Row, Lie::Complete, Lie::Parsed, Lie::CopyIn, Lie::Error];

impl Case {
    /// Bytes change, so that whoever reads them may be misled about its own requests.
    pub(super) fn lies(&self) -> bool {
        !self.is_harmless() && !self.ends()
    }

    /// The connection ends, or falls silent.
    pub(super) fn ends(&self) -> bool {
        matches!(self.plan.mischief, Mischief::End(_))
    }

    /// The server may answer, say that it is ready, and only then stumble over a byte that is left.
    pub(super) fn may_be_noticed_late(&self) -> bool {
        self.lies() && self.plan.direction == Direction::ToTarget
    }

    /// Bytes only arrive in another rhythm.
    pub(super) fn is_harmless(&self) -> bool {
        matches!(self.plan.mischief, Mischief::Trickle | Mischief::Coalesce)
    }

    /// How long the client waits for an answer. Where the strike leaves both sides waiting for each
    /// other, it is the client that gives up.
    pub(super) fn patience(&self) -> Patience {
        let may_hang = match self.plan.mischief {
            Mischief::End(End::Close | End::Reset | End::HalfClose) => false,
            _ => !self.is_harmless(),
        };
        if may_hang { Patience::Little } else { Patience::Full }
    }
}

/// Everything that can be done to a message that goes this way.
fn mischiefs(side: Side, direction: Direction) -> Vec<(Place, Mischief)> {
    let everywhere = |mischief: Mischief| PLACES.map(|place| (place, mischief));
    let mut all: Vec<_> = ENDS.into_iter().flat_map(|end| everywhere(Mischief::End(end))).collect();
    all.extend([(Place::Before, Mischief::Trickle), (Place::Before, Mischief::Coalesce)]);
    if (side, direction) == (Side::Client, Direction::FromTarget) {
        // What the gateway says to a client that is deceived about it is the client's matter alone.
        return all;
    }
    all.extend(everywhere(Mischief::Garbage));
    all.extend(everywhere(Mischief::WrongLength));
    all.push((Place::Before, Mischief::WrongTag));
    if (side, direction) != (Side::Server, Direction::ToTarget) {
        all.push((Place::Before, Mischief::Twice));
    }
    if (side, direction) == (Side::Server, Direction::FromTarget) {
        all.extend(LIES.into_iter().flat_map(|lie| everywhere(Mischief::Lie(lie))));
        // A ReadyForQuery on its own behind a result is how a request ends: nobody can tell that it is none.
        let told_late = LIES.into_iter().filter(|lie| *lie != Lie::Ready);
        all.extend(told_late.map(|lie| (Place::After, Mischief::LateLie(lie))));
    }
    all
}

fn all(side: Side, conversation: &Conversation, tally: &Tally) -> Vec<Case> {
    let ways = [(Direction::ToTarget, tally.to_target), (Direction::FromTarget, tally.from_target)];
    let mut cases = Vec::new();
    for (direction, messages) in ways {
        for message in 0..messages {
            cases.extend(mischiefs(side, direction).into_iter().map(|(place, mischief)| Case {
                side,
                conversation: conversation.name,
                plan: Plan { direction, message, place, mischief },
            }));
        }
    }
    cases
}

/// Which kind of cases a test tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) side: Side,
    /// Bytes change, or only their way.
    pub(super) lies: bool,
}

impl Kind {
    /// Short, as a tenant's name.
    pub(super) const fn name(self) -> &'static str {
        match (self.side, self.lies) {
            (Side::Client, false) => "client-breaks",
            (Side::Client, true) => "client-lies",
            (Side::Server, false) => "server-breaks",
            (Side::Server, true) => "server-lies",
        }
    }
}

/// A run takes all cases, and not a sample.
pub(super) fn all_are_wanted() -> bool {
    std::env::var("TENANTRY_TESTS").is_ok_and(|wanted| wanted == "full")
}

/// The cases to try: all, those that were asked for by name, or a sample that is the same in every run.
pub(super) fn chosen(kind: Kind, conversation: &Conversation, tally: &Tally) -> Vec<Case> {
    let mut cases = all(kind.side, conversation, tally);
    cases.retain(|case| case.lies() == kind.lies);
    if let Ok(words) = std::env::var("TENANTRY_CASES") {
        cases.retain(|case| case.to_string().contains(&words));
        return cases;
    }
    if all_are_wanted() {
        return cases;
    }
    let seed = std::env::var("TENANTRY_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
    println!(
        "{} of {} cases of \"{}\", seed {seed}",
        SAMPLE.min(cases.len()),
        cases.len(),
        conversation.name
    );
    cases.sort_by_cached_key(|case| {
        let mut hasher = DefaultHasher::new();
        (seed, case.to_string()).hash(&mut hasher);
        hasher.finish()
    });
    cases.truncate(SAMPLE);
    cases
}
