//! What a pool does with a permit: it begins a login, or waits until one may be tried.

use super::Locked;
use crate::pool::breaker::Attempt;
use crate::pool::permit::ConnectPermit;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio::runtime::Handle;

/// What a granted permit begins.
pub(in crate::pool) enum Begin {
    /// A login.
    Login(ConnectPermit, Attempt, Handle),
    /// Waiting until one may be tried.
    Wait(Handle),
}

impl Locked<'_> {
    /// The allocator has granted a permit. A login that is to begin counts as opening.
    pub(in crate::pool) fn granted(&mut self, permit: ConnectPermit) -> Option<Begin> {
        let begin = match self.runtime().filter(|_| self.lacking() > 0) {
            Some(runtime) => Some(self.begin(permit, runtime)),
            None => {
                self.after.permit = Some(permit);
                None
            }
        };
        self.state.wanted = self.lacking();
        let wanted = self.state.wanted;
        self.tell(|allocator, id| allocator.took(id, wanted));
        begin
    }

    fn begin(&mut self, permit: ConnectPermit, runtime: Handle) -> Begin {
        let logins = self.pool.connector.logins();
        let allowed = match self.state.attempt.take() {
            Some(attempt) => Ok(attempt),
            None => logins.may_try(Instant::now(), self.holds_any()),
        };
        match allowed {
            Ok(attempt) => {
                self.pool.opening.fetch_add(1, Ordering::AcqRel);
                Begin::Login(permit, attempt, runtime)
            }
            Err(_not_now) => {
                self.state.is_barred = true;
                self.after.permit = Some(permit);
                Begin::Wait(runtime)
            }
        }
    }

    /// A login may be tried again.
    pub(in crate::pool) fn may_log_in(&mut self, attempt: Attempt) {
        self.state.is_barred = false;
        self.state.attempt = Some(attempt);
        self.sync();
        if !self.pool.cluster().has_granted(self.pool.member())
            && let Some(attempt) = self.state.attempt.take()
        {
            // Others of the cluster wait for what comes of it, and the permit may be long in coming. It asks again then.
            self.after.attempt = Some(attempt);
        }
    }
}
