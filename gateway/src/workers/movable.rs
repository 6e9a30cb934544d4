//! A connection's task, which another worker may go on with.

use super::{Worker, WorkerId};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio_util::task::TaskTracker;

thread_local! {
    /// Where the task that is being polled wants to go on.
    static LEAVING: Cell<Option<WorkerId>> = const { Cell::new(None) };
}

/// Has the worker `to` go on with the connection's task that awaits this. Sockets and timers of the task stay
/// with the worker that made them until they are made anew.
///
/// Must be awaited by nothing but the task itself: what selects between this and something else may be
/// polled again by the worker that was to be left.
pub async fn move_to(to: WorkerId) {
    let mut asked = false;
    poll_fn(|_| {
        if std::mem::replace(&mut asked, true) {
            return Poll::Ready(());
        }
        LEAVING.set(Some(to));
        Poll::Pending
    })
    .await;
}

/// A connection's task. It counts among its worker's connections for as long as it lives.
pub(super) struct Movable<F> {
    /// `None` once another worker goes on with it.
    connection: Option<Counted<F>>,
    tasks: TaskTracker,
}

struct Counted<F> {
    task: Pin<Box<F>>,
    workers: Arc<[Worker]>,
    on: WorkerId,
}

impl<F: Future<Output = ()> + Send + 'static> Movable<F> {
    /// Has a worker serve a connection, as one of `tasks`.
    pub(super) fn start(task: F, on: WorkerId, workers: &Arc<[Worker]>, tasks: &TaskTracker) {
        workers[on.0].load.enter();
        let counted = Counted { task: Box::pin(task), workers: Arc::clone(workers), on };
        Self { connection: Some(counted), tasks: tasks.clone() }.go_on();
    }

    fn go_on(self) {
        let Some(connection) = &self.connection else { return };
        let worker = connection.workers[connection.on.0].runtime.clone();
        let tasks = self.tasks.clone();
        tasks.spawn_on(self, &worker);
    }
}

impl<F: Future<Output = ()> + Send + 'static> Future for Movable<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(connection) = &mut self.connection else { return Poll::Ready(()) };
        let polled = connection.task.as_mut().poll(cx);
        // Whatever has come of it: the wish is this task's and nobody else's.
        let leaving = LEAVING.take();
        if polled.is_ready() {
            self.connection = None;
            return Poll::Ready(());
        }
        let Some(to) = leaving else { return Poll::Pending };
        connection.moves_to(to);
        let connection = self.connection.take();
        Self { connection, tasks: self.tasks.clone() }.go_on();
        Poll::Ready(())
    }
}

impl<F> Counted<F> {
    fn moves_to(&mut self, to: WorkerId) {
        self.workers[to.0].load.enter();
        self.workers[self.on.0].load.leave();
        self.on = to;
    }
}

impl<F> Drop for Counted<F> {
    fn drop(&mut self) {
        self.workers[self.on.0].load.leave();
    }
}
