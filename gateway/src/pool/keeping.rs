//! The right to keep a connection for longer than a transaction, for whoever has one already when as many are kept as may
//! be: a share of the budget limits that, and the share may grow.

use super::allocator::LongHold;
use super::cluster::too_many_long_holds;
use super::lease::Lease;
use super::permit::LongPermit;
use crate::error::Refusal;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::timeout;

/// The catalog is asked at once; what is free comes after one round trip, what other gateways hold idle after three
/// (`docs/decisions/2026-11-21-budget-leases.md`). No longer than it takes to know: a connection that belongs to
/// transactions is held meanwhile.
const ASK_MAX: Duration = Duration::from_secs(1);

/// Somebody who holds a connection and has asked to keep it. Dropping it leaves the queue.
pub struct Keeping(Pin<Box<dyn Future<Output = Result<LongPermit, Refusal>> + Send>>);

impl Keeping {
    /// Asks to keep the lease's connection: [`Lease::keep_with`] takes the answer.
    #[must_use]
    pub fn ask(lease: &Lease, kind: LongHold) -> Self {
        let pool = Arc::clone(lease.pool());
        Self(Box::pin(async move {
            // Nobody waits behind one whose turn can never come.
            if !pool.cluster().may_keep(pool.member(), kind) {
                return Err(too_many_long_holds());
            }
            let _counted = pool.count_waiting_for_long_hold()?;
            let turn = pool.cluster().keep_long_in_turn(pool.member(), pool.limits().weight, kind);
            timeout(ASK_MAX, turn).await.ok().flatten().ok_or_else(too_many_long_holds)
        }))
    }
}

impl Future for Keeping {
    type Output = Result<LongPermit, Refusal>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}
