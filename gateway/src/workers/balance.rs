//! How busy each worker is, and how many of its connections should be served by another.
//!
//! A worker looks at the processor time that it wanted ([`Demand`]) once in many requests, so that an idle one does
//! nothing. What it finds it tells the others by a number; nobody waits for anybody.

use super::demand::Demand;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Requests between two looks at the clocks, which cost as much as a tenth of a request.
const REQUESTS_A_LOOK: u32 = 256;

/// A shorter time says little of how busy a thread is.
const WINDOW_MIN: Duration = Duration::from_millis(20);

/// What was measured longer ago says nothing: a worker that has nothing to do does not measure.
const STALE_AFTER_MS: u64 = 500;

/// From here on, in thousandths of a processor, new connections go to another worker.
const FULL: u32 = 600;

/// From here on a worker's connections move to another. Waiting times grow steeply above this.
const TOO_BUSY: u32 = 850;

/// What two workers do together below this, one does alone. Well below [`TOO_BUSY`], or they would move for ever.
const ENOUGH_FOR_ONE: u32 = 600;

/// It pays to move connections only to a worker that is less busy by this.
const DIFFERENCE_MIN: u32 = 250;

/// What times of measurements count from.
static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// How busy a worker is, for the others to see.
#[derive(Debug, Default)]
pub(super) struct Load {
    connections: AtomicUsize,
    /// Thousandths of a processor.
    busy: AtomicU32,
    /// Connections that it served while it was.
    active: AtomicU32,
    measured_ms: AtomicU64,
}

/// A worker as another sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) busy: u32,
    pub(super) active: u32,
}

impl Load {
    /// One connection more.
    pub(super) fn enter(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub(super) fn leave(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// Its connections.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    fn seen(&self, now_ms: u64) -> Seen {
        let is_stale = now_ms.saturating_sub(self.measured_ms.load(Ordering::Relaxed)) > STALE_AFTER_MS;
        if is_stale {
            return Seen { busy: 0, active: 0 };
        }
        Seen { busy: self.busy.load(Ordering::Relaxed), active: self.active.load(Ordering::Relaxed) }
    }

    fn measured(&self, busy: u32, active: u32, now_ms: u64) {
        self.busy.store(busy, Ordering::Relaxed);
        self.active.store(active, Ordering::Relaxed);
        self.measured_ms.store(now_ms, Ordering::Relaxed);
    }
}

/// The first worker that has time for one more connection; if none has, the least busy.
pub(super) fn with_time<'a>(loads: impl Iterator<Item = &'a Load>) -> usize {
    let now_ms = now_ms();
    let key = |(index, load): &(usize, &Load)| match load.seen(now_ms).busy {
        busy if busy < FULL => (0, 0, *index),
        busy => (busy, load.connections(), *index),
    };
    loads.enumerate().min_by_key(key).map_or(0, |(index, _)| index)
}

/// What a worker has done since it last looked.
#[derive(Debug)]
pub(super) struct Window {
    number: u32,
    requests: u32,
    /// Connections that were served in it.
    active: u32,
    began: Instant,
    demand: Demand,
    wanted_before: Duration,
    moves: Option<Moves>,
}

/// So many of a worker's connections should be served by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moves {
    pub(super) to: usize,
    pub(super) count: u32,
}

impl Window {
    /// The first one of this thread.
    pub(super) fn new(now: Instant) -> Self {
        let demand = Demand::of_this_thread();
        let wanted_before = demand.so_far();
        Self { number: 1, requests: 0, active: 0, began: now, demand, wanted_before, moves: None }
    }

    /// Counts a request of a connection that was last counted in window `last`. Says whether it is time to look.
    pub(super) fn served(&mut self, last: &mut u32) -> bool {
        if *last != self.number {
            *last = self.number;
            self.active += 1;
        }
        self.requests += 1;
        self.requests.is_multiple_of(REQUESTS_A_LOOK)
    }

    /// The worker that the connection at hand should be served by instead.
    pub(super) fn next_to_leave(&mut self) -> Option<usize> {
        let moves = self.moves.as_mut()?;
        moves.count -= 1;
        let to = moves.to;
        self.moves = self.moves.filter(|moves| moves.count > 0);
        Some(to)
    }

    /// Measures how busy this worker, `own`, is, and decides how many of its connections leave.
    pub(super) fn look<'a>(&mut self, own: usize, loads: impl Iterator<Item = &'a Load> + Clone) {
        let now = Instant::now();
        let elapsed = now - self.began;
        if elapsed < WINDOW_MIN {
            return;
        }
        let (wanted, now_ms) = (self.demand.so_far(), now_ms());
        let busy = thousandths(wanted.saturating_sub(self.wanted_before), elapsed);
        if let Some(load) = loads.clone().nth(own) {
            load.measured(busy, self.active, now_ms);
        }
        let seen = loads.map(|load| load.seen(now_ms));
        self.moves = moves(own, Seen { busy, active: self.active }, seen);
        self.number = self.number.checked_add(1).unwrap_or(1);
        (self.requests, self.active, self.began, self.wanted_before) = (0, 0, now, wanted);
    }
}

/// How many connections worker `own` gives away, which is as busy as `mine` says.
pub(super) fn moves(own: usize, mine: Seen, all: impl Iterator<Item = Seen> + Clone) -> Option<Moves> {
    let others = all.enumerate().filter(|(index, _)| *index != own);
    if mine.busy > TOO_BUSY {
        return relief(mine, others.clone()).or_else(|| evening_out(mine, others));
    }
    let mut earlier = others.take_while(|(index, _)| *index < own);
    let (to, _) = earlier.find(|(_, theirs)| theirs.busy + mine.busy < ENOUGH_FOR_ONE)?;
    (mine.active > 0).then_some(Moves { to, count: mine.active })
}

/// From one that is too busy to the least busy: half of what would make them equal, as the other measures before it takes
/// more. The last one stays, as moving it would only make the other too busy.
fn relief(mine: Seen, others: impl Iterator<Item = (usize, Seen)>) -> Option<Moves> {
    let (to, least) = others.min_by_key(|(_, theirs)| theirs.busy)?;
    let less = mine.busy.checked_sub(least.busy).filter(|less| *less >= DIFFERENCE_MIN)?;
    let count = (mine.active * less / mine.busy / 4).max(1).min(mine.active.saturating_sub(1));
    (count > 0).then_some(Moves { to, count })
}

/// Between those that all have as much to do as they can. The connections of the one that has fewest are served soonest.
fn evening_out(mine: Seen, others: impl Iterator<Item = (usize, Seen)>) -> Option<Moves> {
    let (to, fewest) = others.min_by_key(|(_, theirs)| theirs.active)?;
    let more = mine.active.saturating_sub(fewest.active);
    // So that they do not move for ever.
    (more >= 4 && more > fewest.active / 4).then_some(Moves { to, count: more / 4 })
}

fn thousandths(part: Duration, whole: Duration) -> u32 {
    let thousandths = part.as_nanos() * 1000 / whole.as_nanos().max(1);
    u32::try_from(thousandths).unwrap_or(u32::MAX)
}

fn now_ms() -> u64 {
    u64::try_from(STARTED.elapsed().as_millis()).unwrap_or(u64::MAX)
}
