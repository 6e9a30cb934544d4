//! Who waits at a pool, and whom a connection is handed to.

use super::Answer;
use crate::pool::siblings::QueuePlace;
use crate::workers::WorkerId;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Who has waited for so long is overtaken by nobody. A wait of a pool that is merely busy is shorter.
const PATIENCE: Duration = Duration::from_millis(10);

/// Somebody who waits for a connection.
pub(in crate::pool) struct Waiter {
    pub(super) sender: oneshot::Sender<Answer>,
    /// Where it waits: a connection that is opened for it is opened there.
    pub(super) runtime: Option<Handle>,
    worker: Option<WorkerId>,
    /// Until then it may be overtaken by those who are served at less cost.
    patient_until: Instant,
    _place: QueuePlace,
}

impl Waiter {
    pub(super) fn new(sender: oneshot::Sender<Answer>, place: QueuePlace) -> Self {
        Self {
            sender,
            runtime: Handle::try_current().ok(),
            worker: WorkerId::current(),
            patient_until: Instant::now() + PATIENCE,
            _place: place,
        }
    }

    pub(super) fn is_patient(&self, now: Instant) -> bool {
        now < self.patient_until
    }

    /// Does it wait on this thread? To wake another one, and to take a connection's socket over there, costs as much as
    /// half a transaction.
    pub(super) fn is_at(&self, worker: Option<WorkerId>) -> bool {
        self.worker == worker
    }
}
