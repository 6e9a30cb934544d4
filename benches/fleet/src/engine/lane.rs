//! A thread's part of a run: its streams, the client connections of their tenants, and who waits for one.

use super::arrivals::{User, next, next_after_pause};
use super::schedule::Schedule;
use super::session;
use crate::draw::Draw;
use crate::plan::{Plan, Stream};
use crate::tally::{Outcome, Tally};
use crate::target::Endpoint;
use crate::wire::Keyring;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// All of a thread.
pub(super) struct Shard {
    seed: u64,
    index: usize,
    count: usize,
    schedule: Schedule,
    begun: OnceCell<Instant>,
    ended: Cell<bool>,
    outstanding: Cell<usize>,
    answered: Notify,
    pub(super) keyring: Keyring,
    pub(super) lanes: Vec<Lane>,
}

/// A stream's part of it.
pub(super) struct Lane {
    pub(super) stream: Stream,
    endpoints: Arc<Vec<Vec<Endpoint>>>,
    index: usize,
    slots: Vec<RefCell<Slot>>,
    tallies: RefCell<Vec<Tally>>,
}

/// One tenant of a stream.
#[derive(Default)]
struct Slot {
    /// The one that was used last is used next.
    idle: Vec<Rc<Parked>>,
    open: u32,
    waiting: VecDeque<Job>,
}

/// A client connection that has nothing to do.
#[derive(Default)]
pub(super) struct Parked {
    job: RefCell<Option<Job>>,
    handed: Notify,
}

impl Parked {
    /// Waits for a request.
    pub(super) async fn job(&self) -> Job {
        loop {
            if let Some(job) = self.job.borrow_mut().take() {
                return job;
            }
            self.handed.notified().await;
        }
    }
}

impl Shard {
    pub(super) fn new(plan: &Plan, endpoints: &Arc<Vec<Vec<Endpoint>>>, index: usize) -> Rc<Self> {
        let lane = |(at, stream): (usize, &Stream)| Lane {
            stream: stream.clone(),
            endpoints: endpoints.clone(),
            index: at,
            slots: (0..stream.tenants).map(|_| RefCell::default()).collect(),
            tallies: RefCell::new(vec![Tally::new(); plan.windows.len()]),
        };
        Rc::new(Self {
            seed: plan.seed,
            index,
            count: plan.threads.max(1),
            schedule: Schedule::new(plan),
            begun: OnceCell::new(),
            ended: Cell::new(false),
            outstanding: Cell::new(0),
            answered: Notify::new(),
            keyring: Keyring::default(),
            lanes: plan.streams.iter().enumerate().map(lane).collect(),
        })
    }

    /// Is this thread the one for this tenant, or this user?
    pub(super) fn is_own(&self, number: u32) -> bool {
        usize::try_from(number).unwrap_or(usize::MAX) % self.count == self.index
    }

    pub(super) fn draw(&self, lane: usize, which: u32) -> Draw {
        let stream = &self.lanes[lane].stream;
        let number = u64::try_from(lane).unwrap_or(u64::MAX);
        Draw::new(self.seed, number, which, stream.choice, stream.tenants, stream.rows)
    }

    pub(super) fn begin(&self, at: Instant) {
        let _ = self.begun.set(at);
    }

    /// The beginning of the first window; now, before it is known.
    pub(super) fn begun(&self) -> Instant {
        self.begun.get().copied().unwrap_or_else(Instant::now)
    }

    pub(super) fn length(&self) -> Duration {
        self.schedule.length()
    }

    pub(super) fn window(&self, at: Instant) -> Option<usize> {
        self.schedule.window(at.saturating_duration_since(*self.begun.get()?))
    }

    /// From now on nothing is issued any more.
    pub(super) fn end(&self) {
        self.ended.set(true);
    }

    /// Waits until every request has an outcome.
    pub(super) async fn all_answered(&self) {
        while self.outstanding.get() > 0 {
            self.answered.notified().await;
        }
    }

    /// Has a tenant's client connection do this: an idle one, a new one, or the first that becomes free.
    pub(super) fn issue(self: &Rc<Self>, job: Job) {
        let lane = &self.lanes[job.lane];
        let slot = lane.slots.get(job.slot).expect("tenants are drawn from those of the stream");
        let mut slot = slot.borrow_mut();
        if let Some(parked) = slot.idle.pop() {
            *parked.job.borrow_mut() = Some(job);
            parked.handed.notify_one();
        } else if slot.open < lane.stream.connections.max(1) {
            slot.open += 1;
            drop(slot);
            tokio::task::spawn_local(session::serve(self.clone(), job));
        } else {
            slot.waiting.push_back(job);
        }
    }

    /// Gives up whoever waits for a connection.
    pub(super) fn clear(&self) {
        self.end();
        for slot in self.lanes.iter().flat_map(|lane| &lane.slots) {
            let waiting = std::mem::take(&mut slot.borrow_mut().waiting);
            drop(waiting);
        }
    }

    pub(super) fn tallies(&self) -> Vec<Vec<Tally>> {
        self.lanes.iter().map(|lane| lane.tallies.borrow().clone()).collect()
    }
}

impl Lane {
    pub(super) fn endpoint(&self, slot: usize) -> &Endpoint {
        &self.endpoints[self.index][slot]
    }

    pub(super) fn tenants(&self) -> std::ops::Range<usize> {
        0..self.slots.len()
    }

    /// Counts a connection that is about to be opened ahead of any request.
    pub(super) fn reserve(&self, slot: usize) {
        self.slots[slot].borrow_mut().open += 1;
    }

    /// The next request for a connection that has become free, or its place among the idle.
    pub(super) fn next_or_park(&self, slot: usize) -> Result<Job, Rc<Parked>> {
        let patience = Duration::from_millis(self.stream.patience_ms);
        loop {
            let waiting = self.slots[slot].borrow_mut().waiting.pop_front();
            match waiting {
                Some(job) if job.due.elapsed() > patience => job.settle(&Outcome::Abandoned),
                Some(job) => return Ok(job),
                None => {
                    let parked = Rc::new(Parked::default());
                    self.slots[slot].borrow_mut().idle.push(parked.clone());
                    return Err(parked);
                }
            }
        }
    }

    /// The next request for a connection that is gone, and has to be opened anew for it. With none, it is one less.
    pub(super) fn next_or_leave(&self, slot: usize) -> Option<Job> {
        let patience = Duration::from_millis(self.stream.patience_ms);
        loop {
            let waiting = self.slots[slot].borrow_mut().waiting.pop_front();
            match waiting {
                Some(job) if job.due.elapsed() > patience => job.settle(&Outcome::Abandoned),
                Some(job) => return Some(job),
                None => {
                    self.slots[slot].borrow_mut().open -= 1;
                    return None;
                }
            }
        }
    }

    pub(super) fn late(&self, shard: &Shard, due: Instant, lag: Duration) {
        self.tally(shard, due, |tally| tally.late(lag));
    }

    pub(super) fn tally(&self, shard: &Shard, at: Instant, change: impl FnOnce(&mut Tally)) {
        if let Some(window) = shard.window(at) {
            change(&mut self.tallies.borrow_mut()[window]);
        }
    }
}

/// One request. It settles once: at the latest, as unfinished, when it is dropped.
pub(super) struct Job {
    shard: Rc<Shard>,
    pub(super) lane: usize,
    pub(super) slot: usize,
    pub(super) key: u32,
    /// When it should begin.
    due: Instant,
    sent: Option<Instant>,
    user: Option<User>,
    settled: bool,
}

impl Job {
    pub(super) fn new(
        shard: &Rc<Shard>,
        lane: usize,
        tenant: u32,
        key: u32,
        due: Instant,
        user: Option<User>,
    ) -> Self {
        shard.outstanding.set(shard.outstanding.get() + 1);
        shard.lanes[lane].tally(shard, due, |tally| tally.issued += 1);
        let slot = usize::try_from(tenant).unwrap_or(usize::MAX);
        Self { shard: shard.clone(), lane, slot, key, due, sent: None, user, settled: false }
    }

    /// Notes that it begins now.
    pub(super) fn sent(&mut self) {
        self.sent = Some(Instant::now());
    }

    /// Puts its outcome down, and has its user ask for the next.
    pub(super) fn settle(mut self, outcome: &Outcome) {
        self.record(outcome);
        if let Some(user) = self.user.take().filter(|_| !self.shard.ended.get()) {
            // What has settled counts no more, also while its user asks again.
            if *outcome == Outcome::Ok {
                next(&self.shard, self.lane, user);
            } else {
                next_after_pause(&self.shard, self.lane, user);
            }
        }
    }

    fn record(&mut self, outcome: &Outcome) {
        self.settled = true;
        let (now, lane) = (Instant::now(), &self.shard.lanes[self.lane]);
        let service = now.saturating_duration_since(self.sent.unwrap_or(now));
        let latency = now.saturating_duration_since(self.due);
        lane.tally(&self.shard, self.due, |tally| tally.settle(outcome, latency, service));
        if *outcome == Outcome::Ok {
            lane.tally(&self.shard, now, |tally| tally.completed += 1);
        }
        self.shard.outstanding.set(self.shard.outstanding.get() - 1);
        self.shard.answered.notify_one();
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if !self.settled {
            self.record(&Outcome::Unfinished);
        }
    }
}
