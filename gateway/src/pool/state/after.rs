//! What is to happen when a pool's lock has been let go.

use super::Answer;
use crate::connect::ServerConnection;
use crate::pool::Pool;
use crate::pool::breaker::Attempt;
use crate::pool::checkout::{CheckoutError, Handed};
use crate::pool::permit::ConnectPermit;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Making one allocates nothing.
#[derive(Default)]
pub(super) struct After {
    pub(super) handed: Option<(oneshot::Sender<Answer>, Handed)>,
    pub(super) told: Vec<(oneshot::Sender<Answer>, CheckoutError)>,
    #[expect(clippy::vec_box, reason = "they are boxed already")]
    pub(super) closed: Vec<Box<ServerConnection>>,
    pub(super) closed_one: Option<Box<ServerConnection>>,
    pub(super) permit: Option<ConnectPermit>,
    pub(super) attempt: Option<Attempt>,
    pub(super) allocator_was_told: bool,
}

impl After {
    pub(super) fn happen(self, pool: &Arc<Pool>) {
        if let Some((sender, handed)) = self.handed {
            // If it has left meanwhile, the connection goes to the next.
            drop(sender.send(Ok(handed)));
        }
        for (sender, why) in self.told {
            drop(sender.send(Err(why)));
        }
        drop((self.closed, self.closed_one, self.permit, self.attempt));
        if self.allocator_was_told {
            pool.cluster().carry_out();
        }
    }
}
