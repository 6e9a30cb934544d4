//! One client connection, from login to login: a task that owns its socket.

use super::lane::{Job, Shard};
use crate::plan::Script;
use crate::tally::Outcome;
use crate::wire::{self, Wire};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Logins under way while connections are opened ahead. A storm of them is a load of its own.
const LOGINS_AT_ONCE: usize = 16;

/// Opens the connections of those streams that want them ahead.
pub(super) async fn preconnect(shard: &Rc<Shard>) {
    let (turns, mut opening) = (Arc::new(Semaphore::new(LOGINS_AT_ONCE)), JoinSet::new());
    for (index, lane) in shard.lanes.iter().enumerate().filter(|(_, lane)| lane.stream.preconnect) {
        for slot in lane.tenants().filter(|slot| shard.is_own(u32::try_from(*slot).unwrap_or(u32::MAX))) {
            for _ in 0..lane.stream.connections.max(1) {
                lane.reserve(slot);
                let (shard, turns) = (shard.clone(), turns.clone());
                opening.spawn_local(async move {
                    let _turn = turns.acquire().await;
                    open_ahead(&shard, index, slot).await;
                });
            }
        }
    }
    while opening.join_next().await.is_some() {}
}

async fn open_ahead(shard: &Rc<Shard>, index: usize, slot: usize) {
    let lane = &shard.lanes[index];
    let Ok(wire) = log_in(shard, index, slot).await else {
        // Whoever needs it tries again, and that failure counts.
        if let Some(job) = lane.next_or_leave(slot) {
            tokio::task::spawn_local(serve(shard.clone(), job));
        }
        return;
    };
    let shard = shard.clone();
    let first = lane.next_or_park(slot);
    tokio::task::spawn_local(async move {
        let job = match first {
            Ok(job) => job,
            Err(parked) => parked.job().await,
        };
        if let Some(next) = ask_until_gone(&shard, wire, job).await {
            serve(shard, next).await;
        }
    });
}

/// Opens a connection for a request, serves with it, and opens another when it is gone and somebody waits.
pub(super) async fn serve(shard: Rc<Shard>, first: Job) {
    let mut next = Some(first);
    while let Some(job) = next {
        let (lane, slot) = (job.lane, job.slot);
        next = match log_in(&shard, lane, slot).await {
            Ok(wire) => ask_until_gone(&shard, wire, job).await,
            Err(code) => {
                job.settle(&Outcome::Failed(code));
                shard.lanes[lane].next_or_leave(slot)
            }
        };
    }
}

/// Asks one request after another. Returns the one that has to wait for another login, if there is one.
async fn ask_until_gone(shard: &Rc<Shard>, mut wire: Wire, first: Job) -> Option<Job> {
    let (index, slot) = (first.lane, first.slot);
    let lane = &shard.lanes[index];
    let stays = !lane.stream.login_each && lane.stream.script != Script::Login;
    let mut job = first;
    loop {
        job.sent();
        let timeout = Duration::from_millis(lane.stream.timeout_ms);
        let answer = wire.run(lane.stream.script, lane.stream.mode, job.key);
        let (outcome, usable) = match tokio::time::timeout(timeout, answer).await {
            Ok(Ok(())) => (Outcome::Ok, true),
            Ok(Err(failure)) => (Outcome::Failed(failure.code()), !wire.is_broken()),
            Err(_) => (Outcome::Failed("timeout".to_owned()), false),
        };
        job.settle(&outcome);
        if !usable || !stays {
            if usable {
                wire.close().await;
            }
            return lane.next_or_leave(slot);
        }
        job = match lane.next_or_park(slot) {
            Ok(job) => job,
            Err(parked) => parked.job().await,
        };
    }
}

async fn log_in(shard: &Rc<Shard>, index: usize, slot: usize) -> Result<Wire, String> {
    let (lane, begun) = (&shard.lanes[index], Instant::now());
    let timeout = Duration::from_millis(lane.stream.timeout_ms);
    let login = wire::login(lane.endpoint(slot), &shard.keyring);
    let outcome = match tokio::time::timeout(timeout, login).await {
        Ok(outcome) => outcome.map_err(|failure| failure.code()),
        Err(_) => Err("timeout".to_owned()),
    };
    let failed = outcome.as_ref().err().map(String::as_str);
    lane.tally(shard, begun, |tally| tally.login(begun.elapsed(), failed));
    outcome
}
