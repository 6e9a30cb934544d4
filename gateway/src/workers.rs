//! The threads that serve connections.
//!
//! Each runs a scheduler and an event loop of its own, and a transaction is served on one thread from end to
//! end: to wake another costs more than everything else that we do for it. Connections are given to the first
//! thread that has time, because a thread with much to do finds more of it at each look and sleeps less often.
//! When a thread is nearly busy, connections that are at rest move on to another (`balance`), and back when one
//! thread is enough.
//!
//! Nothing that runs here may block.

mod balance;
mod demand;
mod movable;

pub use movable::move_to;

use balance::{Load, Window};
use movable::Movable;
use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Instant;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Threads for what blocks (hashing the passwords of HTTP clients), for each worker.
const BLOCKING_THREADS_MAX: usize = 4;

thread_local! {
    static HERE: RefCell<Option<Here>> = const { RefCell::new(None) };
}

/// Which worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerId(usize);

impl WorkerId {
    /// The worker whose thread this is.
    #[must_use]
    pub fn current() -> Option<Self> {
        HERE.with_borrow(|here| here.as_ref().map(|here| here.id))
    }
}

/// The workers of one gateway. Dropping them ends their threads and every task on them.
pub struct Workers {
    workers: Arc<[Worker]>,
    _stop: DropGuard,
}

struct Worker {
    runtime: Handle,
    load: Load,
}

/// The worker whose thread this is, as that thread sees it.
struct Here {
    id: WorkerId,
    window: Window,
    workers: Arc<[Worker]>,
}

/// When a connection was last counted among the active ones of its worker.
#[derive(Debug, Default)]
pub struct Turns(u32);

impl Turns {
    /// The connection has been served once more and is at rest. `Some`: it is to move there.
    pub fn served(&mut self) -> Option<WorkerId> {
        HERE.with_borrow_mut(|here| {
            let Here { id, window, workers } = here.as_mut()?;
            if window.served(&mut self.0) {
                window.look(id.0, workers.iter().map(|worker| &worker.load));
            }
            window.next_to_leave().map(WorkerId)
        })
    }
}

impl Workers {
    /// Starts so many threads, at least one.
    ///
    /// # Errors
    /// The system has no thread or no event queue to give.
    pub fn start(count: usize) -> io::Result<Self> {
        let runtimes = (0..count.max(1)).map(|_| runtime()).collect::<io::Result<Vec<_>>>()?;
        let worker = |runtime: &Runtime| Worker { runtime: runtime.handle().clone(), load: Load::default() };
        let workers: Arc<[Worker]> = runtimes.iter().map(worker).collect();
        let stop = CancellationToken::new();
        for (index, runtime) in runtimes.into_iter().enumerate() {
            run(WorkerId(index), runtime, Arc::clone(&workers), stop.clone())?;
        }
        Ok(Self { workers, _stop: stop.drop_guard() })
    }

    /// The worker that accepts connections; it keeps those that it would serve anyway.
    #[must_use]
    pub fn accepting(&self) -> &Handle {
        &self.workers[0].runtime
    }

    /// Serves a connection on a worker that has time for it, as a task of `tasks`.
    ///
    /// # Errors
    /// The socket is lost.
    pub fn serve<F, S>(&self, tasks: &TaskTracker, stream: TcpStream, serve: S) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
        S: FnOnce(TcpStream) -> F + Send + 'static,
    {
        let worker = WorkerId(balance::with_time(self.workers.iter().map(|worker| &worker.load)));
        if WorkerId::current() == Some(worker) {
            Movable::start(serve(stream), worker, &self.workers, tasks);
            return Ok(());
        }
        // So that its events go to the worker's event loop and no longer to this one.
        let stream = stream.into_std()?;
        let served = async move {
            if let Ok(stream) = TcpStream::from_std(stream) {
                serve(stream).await;
            }
        };
        Movable::start(served, worker, &self.workers, tasks);
        Ok(())
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().max_blocking_threads(BLOCKING_THREADS_MAX).build()
}

fn run(id: WorkerId, runtime: Runtime, workers: Arc<[Worker]>, stop: CancellationToken) -> io::Result<()> {
    let run = move || {
        HERE.set(Some(Here { id, window: Window::new(Instant::now()), workers }));
        runtime.block_on(stop.cancelled());
        // A password that is being checked is waited for by nobody any more.
        runtime.shutdown_background();
    };
    std::thread::Builder::new().name(format!("gateway-{}", id.0)).spawn(run)?;
    Ok(())
}

#[cfg(test)]
mod tests;
