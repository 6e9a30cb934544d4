//! The threads that serve connections.
//!
//! Each runs a scheduler and an event loop of its own, and a connection stays on the thread that it was given
//! to. So a transaction wakes no other thread, which costs more than everything else that we do for it. The
//! price is that nothing moves from a busy thread to an idle one; connections are therefore dealt out evenly.
//!
//! Nothing that runs here may block.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Threads for what blocks (hashing the passwords of HTTP clients), for each worker.
const BLOCKING_THREADS_MAX: usize = 4;

thread_local! {
    static CURRENT: Cell<Option<WorkerId>> = const { Cell::new(None) };
}

/// Which worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerId(usize);

impl WorkerId {
    /// The worker whose thread this is.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.get()
    }
}

/// The workers of one gateway. Dropping them ends their threads and every task on them.
pub struct Workers {
    workers: Vec<Worker>,
    _stop: DropGuard,
}

struct Worker {
    id: WorkerId,
    runtime: Handle,
    connections: Arc<AtomicUsize>,
}

impl Workers {
    /// Starts so many threads, at least one.
    ///
    /// # Errors
    /// The system has no thread or no event queue to give.
    pub fn start(count: usize) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let workers = (0..count.max(1)).map(|index| Worker::start(WorkerId(index), stop.clone()));
        Ok(Self { workers: workers.collect::<io::Result<_>>()?, _stop: stop.drop_guard() })
    }

    /// The worker that accepts connections; it keeps those that it would serve anyway.
    #[must_use]
    pub fn accepting(&self) -> &Handle {
        &self.workers[0].runtime
    }

    /// The worker with the fewest connections; among equals this one, which nobody has to wake.
    fn least_busy(&self) -> &Worker {
        let here = WorkerId::current();
        let busy = |worker: &&Worker| (worker.load(), Some(worker.id) != here);
        self.workers.iter().min_by_key(busy).unwrap_or(&self.workers[0])
    }

    /// Serves a connection on the worker that has fewest, as a task of `tasks`.
    ///
    /// # Errors
    /// The socket is lost.
    pub fn serve<F, S>(&self, tasks: &TaskTracker, stream: TcpStream, serve: S) -> io::Result<()>
    where
        F: Future<Output = ()> + Send,
        S: FnOnce(TcpStream) -> F + Send + 'static,
    {
        let worker = self.least_busy();
        let connection = Counted::new(&worker.connections);
        if WorkerId::current() == Some(worker.id) {
            tasks.spawn(async move {
                let _connection = connection;
                serve(stream).await;
            });
            return Ok(());
        }
        // So that its events go to the worker's event loop and no longer to this one.
        let stream = stream.into_std()?;
        tasks.spawn_on(
            async move {
                let _connection = connection;
                if let Ok(stream) = TcpStream::from_std(stream) {
                    serve(stream).await;
                }
            },
            &worker.runtime,
        );
        Ok(())
    }
}

impl Worker {
    fn start(id: WorkerId, stop: CancellationToken) -> io::Result<Self> {
        let runtime =
            Builder::new_current_thread().enable_all().max_blocking_threads(BLOCKING_THREADS_MAX).build()?;
        let handle = runtime.handle().clone();
        let run = move || {
            CURRENT.set(Some(id));
            runtime.block_on(stop.cancelled());
            // A password that is being checked is waited for by nobody any more.
            runtime.shutdown_background();
        };
        std::thread::Builder::new().name(format!("gateway-{}", id.0)).spawn(run)?;
        Ok(Self { id, runtime: handle, connections: Arc::default() })
    }

    fn load(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// One connection of a worker, for as long as its task lives.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(connections: &Arc<AtomicUsize>) -> Self {
        connections.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(connections))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    #[tokio::test]
    async fn connections_are_dealt_out_evenly() {
        let workers = Workers::start(2).expect("two threads");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (tasks, (told, mut tells)) = (TaskTracker::new(), mpsc::unbounded_channel());
        let mut kept = Vec::new();
        for _ in 0..6 {
            kept.push(TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens"));
            let (stream, _) = listener.accept().await.expect("a connection");
            let told = told.clone();
            let serve = move |stream: TcpStream| async move {
                told.send(WorkerId::current()).expect("somebody listens");
                let _ = stream.readable().await;
            };
            workers.serve(&tasks, stream, serve).expect("a live socket");
        }
        let mut served = [0; 2];
        for _ in 0..6 {
            served[tells.recv().await.flatten().expect("served by a worker").0] += 1;
        }
        assert_eq!(served, [3, 3]);
        assert_eq!(WorkerId::current(), None);
        drop(kept);
        tasks.close();
        tasks.wait().await;
        assert!(workers.workers.iter().all(|worker| worker.load() == 0));
    }
}
