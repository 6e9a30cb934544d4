//! The plan for the sessions with one database, and what has come of it.

use super::plan::{Mischief, Place, Plan};
use crate::{DEADLINE, Direction};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio::time::timeout;

/// What has passed since a plan was armed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages to the proxy's target.
    pub to_target: usize,
    /// Messages from it.
    pub from_target: usize,
    /// The plan's message has come.
    pub has_struck: bool,
}

#[derive(Debug, Default)]
struct State {
    plan: Option<Plan>,
    tally: Tally,
    /// The strike is under way.
    is_striking: bool,
}

/// What is to happen to the sessions with one database. Without a plan messages are only counted.
#[derive(Debug)]
pub struct Script {
    state: watch::Sender<State>,
    /// Raised to end the connections that were struck.
    releases: watch::Sender<u64>,
}

impl Default for Script {
    fn default() -> Self {
        Self { state: watch::Sender::new(State::default()), releases: watch::Sender::new(0) }
    }
}

impl Script {
    /// Counts from zero, and strikes once when the plan's message comes.
    pub fn arm(&self, plan: Option<Plan>) {
        self.state.send_replace(State { plan, ..State::default() });
    }

    /// Strikes no more. Waits until a strike under way is over, and the connection that it is to end has ended.
    ///
    /// # Panics
    /// When that does not come about.
    pub async fn disarm(&self) -> Tally {
        let mut watched = self.state.subscribe();
        self.state.send_modify(|state| state.plan = None);
        // What comes out holds the state's lock: to borrow it once more, while a message has come that waits to
        // be counted, would be to wait for oneself.
        match timeout(DEADLINE, watched.wait_for(|state| !state.is_striking)).await {
            Ok(Ok(state)) => state.tally,
            Ok(Err(_)) | Err(_) => panic!("a connection that was cut does not end"),
        }
    }

    /// Ends the connections that were struck and have not ended: what was silent is gone.
    pub fn release(&self) {
        self.releases.send_modify(|count| *count += 1);
    }

    pub(super) fn releases(&self) -> u64 {
        *self.releases.borrow()
    }

    pub(super) async fn released_since(&self, before: u64) {
        // The sender is ours, so it lives.
        let _ = self.releases.subscribe().wait_for(|count| *count > before).await;
    }

    /// A message has come. What is to be done to it?
    pub(super) fn turn(&self, direction: Direction) -> Option<(Place, Mischief)> {
        let mut strike = None;
        self.state.send_modify(|state| {
            let count = match direction {
                Direction::ToTarget => &mut state.tally.to_target,
                Direction::FromTarget => &mut state.tally.from_target,
            };
            let this = *count;
            *count += 1;
            let due = state.plan.filter(|plan| plan.direction == direction && plan.message == this);
            if let Some(plan) = due {
                (state.plan, state.is_striking, state.tally.has_struck) = (None, true, true);
                strike = Some((plan.place, plan.mischief));
            }
        });
        strike
    }

    pub(super) fn strike_is_over(&self) {
        self.state.send_modify(|state| state.is_striking = false);
    }
}

/// Scripts by database name.
#[derive(Debug, Default)]
pub(super) struct Scripts(Mutex<HashMap<String, Arc<Script>>>);

impl Scripts {
    pub(super) fn of(&self, database: &str) -> Arc<Script> {
        Arc::clone(self.known().entry(database.to_owned()).or_default())
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Arc<Script>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;
    use std::thread;

    const ROUNDS: usize = 50_000;

    /// A message that is counted at the moment at which a case ends must not stop the test for good: nothing inside of
    /// it would notice.
    #[test]
    fn messages_that_come_while_a_script_is_disarmed_hold_nobody_up() {
        let (script, is_over) = (Arc::<Script>::default(), Arc::<AtomicBool>::default());
        let (counted, counting) = (Arc::clone(&script), Arc::clone(&is_over));
        thread::spawn(move || {
            while !counting.load(Ordering::Acquire) {
                counted.turn(Direction::ToTarget);
            }
        });
        let (done, outcome) = mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            let runtime = runtime.expect("a runtime");
            for _ in 0..ROUNDS {
                script.arm(None);
                runtime.block_on(script.disarm());
            }
            done.send(()).expect("the test waits");
        });
        let ended = outcome.recv_timeout(DEADLINE);
        is_over.store(true, Ordering::Release);
        ended.expect("every round ends");
    }
}
