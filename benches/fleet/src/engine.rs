//! Runs a [`Plan`]: threads that share nothing while they drive, each with a runtime of its own.
//!
//! An open stream issues a request when its time has come, whether or not earlier ones have been answered, and its
//! latency counts from that time: a target that stalls for a second is charged for every request that was due
//! meanwhile, not only for those that happened to be under way. What finds no free client connection waits for one
//! here, and that wait counts too. Every request issued is accounted for once, whatever becomes of it.

mod arrivals;
mod lane;
mod schedule;
mod session;
mod timer;

use crate::plan::Plan;
use crate::tally::Tally;
use crate::target::{Endpoint, Target, TargetError};
use lane::Shard;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use schedule::Schedule;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{Barrier, watch};
use tokio::task::LocalSet;

/// Between the agreement on a beginning and the beginning, so that no thread is late to it.
const RUN_UP: Duration = Duration::from_millis(50);

/// Why a run came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// A tenant cannot be reached in principle.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The system refuses a thread, a runtime or a timer.
    #[error("the load cannot be driven: {0}")]
    System(#[from] std::io::Error),
    /// A thread has panicked.
    #[error("a driving thread has panicked")]
    Panicked,
}

/// What a run has found.
pub(crate) struct Found {
    /// By stream, then by window.
    pub(crate) tallies: Vec<Vec<Tally>>,
    /// CPU of the driving threads between the beginning and the end of the last window, in cores.
    pub(crate) cores: f64,
}

/// A run under way.
pub(crate) struct Running {
    threads: Vec<JoinHandle<Result<ShardFound, RunError>>>,
    begun: watch::Receiver<Option<Instant>>,
    schedule: Schedule,
}

type ShardFound = (Vec<Vec<Tally>>, Duration);

/// Starts driving. With streams that connect first, the first window begins when all have.
///
/// # Errors
/// When a connection string is of no use.
pub(crate) fn start(plan: &Plan, target: &Target) -> Result<Running, RunError> {
    let endpoints: Result<Vec<Vec<Endpoint>>, TargetError> = plan
        .streams
        .iter()
        .map(|stream| (stream.first..stream.first + stream.tenants).map(|n| target.endpoint(n)).collect())
        .collect();
    let endpoints = Arc::new(endpoints?);
    let (told, begun) = watch::channel(None);
    let count = plan.threads.max(1);
    let (barrier, beginning) = (Arc::new(Barrier::new(count)), Arc::new(OnceLock::new()));
    let threads = (0..count).map(|index| {
        let start = Start {
            plan: plan.clone(),
            endpoints: endpoints.clone(),
            index,
            barrier: barrier.clone(),
            beginning: beginning.clone(),
            told: told.clone(),
        };
        std::thread::Builder::new().name(format!("fleet-{index}")).spawn(move || start.run())
    });
    let threads = threads.collect::<Result<_, _>>()?;
    Ok(Running { threads, begun, schedule: Schedule::new(plan) })
}

impl Running {
    /// Waits until a window begins. Returns at once when the run has failed before.
    pub(crate) async fn reached(&mut self, window: usize) {
        if let Ok(begun) = self.begun.wait_for(Option::is_some).await {
            let at = begun.map(|begun| begun + self.schedule.offset(window));
            drop(begun);
            if let Some(at) = at {
                tokio::time::sleep_until(at.into()).await;
            }
        }
    }

    /// Waits for the end and adds the threads' parts.
    ///
    /// # Errors
    /// The first thread's that failed.
    pub(crate) async fn finish(self) -> Result<Found, RunError> {
        let threads = self.threads;
        let joined = tokio::task::spawn_blocking(move || {
            threads.into_iter().map(|thread| thread.join().map_err(|_| RunError::Panicked)?).collect()
        });
        let parts: Result<Vec<ShardFound>, RunError> = joined.await.map_err(|_| RunError::Panicked)?;
        let mut parts = parts?.into_iter();
        let (mut tallies, mut cpu) = parts.next().ok_or(RunError::Panicked)?;
        for (other, used) in parts {
            cpu += used;
            for (sum, part) in tallies.iter_mut().flatten().zip(other.iter().flatten()) {
                sum.merge(part);
            }
        }
        Ok(Found { tallies, cores: cpu.as_secs_f64() / self.schedule.length().as_secs_f64() })
    }
}

/// What a thread is started with.
struct Start {
    plan: Plan,
    endpoints: Arc<Vec<Vec<Endpoint>>>,
    index: usize,
    barrier: Arc<Barrier>,
    beginning: Arc<OnceLock<Instant>>,
    told: watch::Sender<Option<Instant>>,
}

impl Start {
    fn run(self) -> Result<ShardFound, RunError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let local = LocalSet::new();
        let shard = Shard::new(&self.plan, &self.endpoints, self.index);
        let used = local.block_on(&runtime, self.drive(&shard));
        // Whatever still waits for an answer is put down as unfinished when it is dropped.
        shard.clear();
        drop(local);
        Ok((shard.tallies(), used?))
    }

    async fn drive(&self, shard: &Rc<Shard>) -> Result<Duration, RunError> {
        session::preconnect(shard).await;
        if self.barrier.wait().await.is_leader() {
            let _ = self.beginning.set(Instant::now() + RUN_UP);
        }
        self.barrier.wait().await;
        let begin = *self.beginning.get_or_init(Instant::now);
        self.told.send_replace(Some(begin));
        shard.begin(begin);
        let before = thread_cpu();
        let arrivals = arrivals::spawn(shard)?;
        tokio::time::sleep_until((begin + shard.length()).into()).await;
        let used = thread_cpu().saturating_sub(before);
        for arriving in arrivals {
            arriving.await.map_err(|_| RunError::Panicked)??;
        }
        shard.end();
        let _ = tokio::time::timeout(Duration::from_millis(self.plan.drain_ms), shard.all_answered()).await;
        Ok(used)
    }
}

fn thread_cpu() -> Duration {
    getrusage(UsageWho::RUSAGE_THREAD).map_or(Duration::ZERO, |usage| {
        let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    })
}

#[cfg(test)]
mod tests;
