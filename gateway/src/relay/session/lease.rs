//! From a client's request to a server connection for it.

use super::Session;
use crate::admit::{self, gate, storage};
use crate::error::Refusal;
use crate::pool::checkout::POOLS_ASKED_MAX;
use crate::pool::{CheckoutError, Lease};
use crate::relay::exchange::Exchange;
use std::future::poll_fn;
use std::sync::Arc;
use tenancy::{ErrorKind, StorageStanding};

impl Session {
    /// Gets a connection. `None`: the client has left meanwhile.
    pub(super) async fn lease(&mut self, exchange: &mut Exchange) -> Result<Option<Lease>, Refusal> {
        if self.flush(exchange).await.is_err() {
            return Ok(None);
        }
        admit::check_state(&self.tenant)?;
        let is_paid = self.client.meter.takes();
        let leased = match if is_paid { self.checkout_now()? } else { None } {
            Some(lease) => Some(lease),
            None => Box::pin(self.wait_for_lease(is_paid)).await.inspect_err(|_refused| {
                self.cancel.slot().stopped();
                self.place.client().idle();
            })?,
        };
        let Some(mut lease) = leased else { return Ok(None) };
        if lease.access() < self.access {
            return Err(lease.of_another_access());
        }
        if !self.cancel.slot().running(lease.server().cancel_target()) {
            // It was not used, so it is as it was.
            lease.release();
            self.place.client().idle();
            return Err(cancelled());
        }
        if let Some(server) = lease.server().listed() {
            server.used_by(self.place.client().id);
            self.place.client().active(server);
        }
        if lease.pool().is_retired() && self.tenant.storage() >= StorageStanding::Sealed {
            // Whoever ends writers may have looked before this client was seen to have a connection.
            lease.release();
            self.cancel.slot().stopped();
            self.place.client().idle();
            return Err(storage::sealed(&self.tenant.limits()));
        }
        Ok(Some(lease))
    }

    fn checkout_now(&mut self) -> Result<Option<Lease>, Refusal> {
        if !self.may_pass() {
            return Ok(None);
        }
        // The gate may have closed before the lease was counted: then nobody waits for it to end.
        let is_native = self.client.is_native();
        let pool = self.pool()?;
        let lease = if is_native { pool.checkout_for_session_now() } else { pool.checkout_now() };
        Ok(lease.filter(|_lease| self.may_pass()))
    }

    fn may_pass(&self) -> bool {
        self.tenant.gate().is_open() && self.shared.gate.is_open()
    }

    /// Waits until the tenant's rate allows for the request, unless it is paid for, and then in the pool's queue. Whoever waits at a pool that is retired goes to its successor; at one whose gate is
    /// closed, to the gate. A cancel that
    /// comes together with the connection is left for the caller to find.
    async fn wait_for_lease(&mut self, mut is_paid: bool) -> Result<Option<Lease>, Refusal> {
        let mut asked = 1;
        let wait_max = self.shared.config.console.pause_timeout();
        let rate_wait_max = self.shared.config.limits.rate_wait();
        let (is_native, asker) = (self.client.is_native(), self.asker);
        self.place.client().waiting();
        self.cancel.slot().waiting();
        loop {
            let pool = Arc::clone(self.pool()?);
            let (slot, stream, client) = (self.cancel.slot(), &mut self.stream, self.place.client());
            let half_closed = self.shared.config.timeouts.half_closed();
            let has_left = async {
                poll_fn(|cx| stream.poll_gone(cx)).await;
                // It may want to read what it has asked for.
                tokio::time::sleep(half_closed).await;
            };
            let passed_and_leased = async {
                if !is_paid {
                    self.client.meter.passage(rate_wait_max).await?;
                    is_paid = true;
                }
                gate::passage(&self.tenant, &self.shared.gate, wait_max).await?;
                if is_native { pool.checkout_for_session(asker).await } else { pool.checkout(asker).await }
            };
            let outcome = tokio::select! {
                biased;
                lease = passed_and_leased => lease.map(Some),
                end = client.until_killed() => Err(end.refusal().into()),
                () = slot.cancelled() => Err(cancelled().into()),
                () = has_left => Ok(None),
            };
            match outcome {
                Err(CheckoutError::Retired) if asked < POOLS_ASKED_MAX => asked += 1,
                Err(CheckoutError::HeldBack) => {}
                Ok(Some(_lease)) if !self.may_pass() => {}
                outcome => return Ok(outcome?),
            }
        }
    }
}

fn cancelled() -> Refusal {
    Refusal::new(ErrorKind::Cancelled, "canceling statement due to user request")
}
