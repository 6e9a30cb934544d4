//! A gate before a tenant's check-outs, which operators close and open at the console.
//!
//! An open gate costs one load. Behind a closed one new work waits, bounded in time; what already has a
//! connection goes on. Whoever closes the gate and then finds no connection in use can rely on that:
//! work looks at the gate before it asks for a connection and again when it has got one.

use crate::error::Refusal;
use crate::resolve::Tenant;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::Duration;
use tenancy::ErrorKind;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::timeout;

const PAUSED: u8 = 1;
const DISABLED: u8 = 2;

/// What operators have asked for of one tenant, or of all. Lives in this process only.
#[derive(Debug, Default)]
pub struct Gate {
    state: AtomicU8,
    waiting: AtomicU32,
    /// Rung when the gate opens.
    opened: Notify,
    /// Rung when everything under way is to be cut off.
    cut: Notify,
}

impl Gate {
    /// May work begin?
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state.load(Ordering::SeqCst) & PAUSED == 0
    }

    /// Are new clients refused?
    #[must_use]
    pub fn is_disabled(&self) -> bool {
        self.state.load(Ordering::SeqCst) & DISABLED != 0
    }

    /// Nothing was asked for: the tenant may be forgotten without losing anything.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.state.load(Ordering::SeqCst) == 0
    }

    /// Closes it. `false`: it was closed already.
    pub fn close(&self) -> bool {
        self.state.fetch_or(PAUSED, Ordering::SeqCst) & PAUSED == 0
    }

    /// Opens it and lets everybody through who waits. `false`: it was open.
    pub fn open(&self) -> bool {
        let was_closed = self.state.fetch_and(!PAUSED, Ordering::SeqCst) & PAUSED != 0;
        self.opened.notify_waiters();
        was_closed
    }

    /// Has new clients refused, or no longer.
    pub fn disable(&self, disabled: bool) {
        if disabled {
            self.state.fetch_or(DISABLED, Ordering::SeqCst);
        } else {
            self.state.fetch_and(!DISABLED, Ordering::SeqCst);
        }
    }

    /// Clients and requests that wait for it to open.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Acquire)
    }

    /// Cuts off what listens to [`Gate::cut_off`].
    pub fn cut(&self) {
        self.cut.notify_waiters();
    }

    /// Resolves with the next [`Gate::cut`] after this call.
    pub fn cut_off(&self) -> Notified<'_> {
        self.cut.notified()
    }
}

/// Waits until both the tenant's gate and everybody's are open, for `max` at most. Dropping the future ends the
/// wait.
///
/// # Errors
/// It took too long.
pub async fn passage(tenant: &Tenant, everybody: &Gate, max: Duration) -> Result<(), Refusal> {
    let own = tenant.gate();
    if own.is_open() && everybody.is_open() {
        return Ok(());
    }
    let _waiting = Waiting::at(own);
    let opened = async {
        loop {
            // Made before the look, so that no opening falls between the two.
            let (own_opened, all_opened) = (own.opened.notified(), everybody.opened.notified());
            if own.is_open() && everybody.is_open() {
                return;
            }
            tokio::select! {
                () = own_opened => {}
                () = all_opened => {}
            }
        }
    };
    timeout(max, opened).await.map_err(|_elapsed| still_paused(max))
}

/// May a client enter that an operator may have barred?
///
/// # Errors
/// It is.
pub fn not_disabled(gate: &Gate) -> Result<(), Refusal> {
    if gate.is_disabled() {
        return Err(Refusal::new(ErrorKind::TenantUnavailable, "the tenant is disabled at this gateway")
            .hint("an operator has barred new clients; try again later"));
    }
    Ok(())
}

/// What is heard by who was about to get a connection when the gate closed, and does not wait at the gate.
#[must_use]
pub fn was_closed() -> Refusal {
    Refusal::new(ErrorKind::TenantPaused, "the tenant has been paused")
        .hint("an operator has paused it for maintenance; try again in a moment")
}

fn still_paused(max: Duration) -> Refusal {
    let message = format!("the tenant is paused, and was not resumed within {} ms", max.as_millis());
    Refusal::new(ErrorKind::TenantPaused, message)
        .hint("an operator has paused it for maintenance; try again in a moment")
}

struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn at(gate: &'a Gate) -> Self {
        gate.waiting.fetch_add(1, Ordering::AcqRel);
        Self(&gate.waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::tests::route;
    use tokio_util::sync::CancellationToken;

    fn tenant() -> Tenant {
        Tenant::new(route(), CancellationToken::new())
    }

    #[tokio::test]
    async fn an_open_gate_lets_through_and_a_closed_one_does_not() {
        let (tenant, everybody) = (tenant(), Gate::default());
        assert!(passage(&tenant, &everybody, Duration::ZERO).await.is_ok());
        for gate in [tenant.gate(), &everybody] {
            assert!(gate.close() && !gate.close());
            let refused = passage(&tenant, &everybody, Duration::ZERO).await;
            assert_eq!(refused.map_err(|refusal| refusal.kind()), Err(ErrorKind::TenantPaused));
            assert!(gate.open() && !gate.open());
        }
        assert_eq!(tenant.gate().waiting(), 0);
    }

    #[tokio::test]
    async fn who_waits_passes_when_both_are_open() {
        let (tenant, everybody) = (tenant(), Gate::default());
        tenant.gate().close();
        everybody.close();
        let mut waiting = std::pin::pin!(passage(&tenant, &everybody, Duration::from_secs(60)));
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        assert_eq!(tenant.gate().waiting(), 1);
        tenant.gate().open();
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        everybody.open();
        assert!(waiting.await.is_ok());
    }
}
