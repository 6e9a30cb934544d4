//! Is the process alive, and should it be sent clients? Both listeners answer with this, so that a
//! probe means the same wherever it asks.

use super::answer::{self, Answer};
use crate::resolve::follow::Progress;
use crate::shared::Shared;
use hyper::StatusCode;
use tokio_util::sync::CancellationToken;

/// Why no client should be sent here now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// No route can be known yet. A catalog that goes away later is no reason: known tenants are served.
    #[error("the catalog was not reached since the start")]
    Starting,
    /// The process is shutting down.
    #[error("the gateway is shutting down")]
    Draining,
}

/// Should this gateway be sent clients?
///
/// # Errors
/// It has not started or is about to stop.
pub fn readiness(shared: &Shared) -> Result<(), NotReady> {
    judge(&shared.progress, &shared.leaving)
}

/// The process is alive. Says nothing of whether clients should come: see [`readyz`].
#[must_use]
pub fn healthz() -> Answer {
    answer::text(StatusCode::OK, answer::PLAIN, "ok\n".to_owned())
}

/// Whether clients should be sent here, with the reason when not.
#[must_use]
pub fn readyz(shared: &Shared) -> Answer {
    match readiness(shared) {
        Ok(()) => answer::text(StatusCode::OK, answer::PLAIN, "ready\n".to_owned()),
        Err(reason) => answer::problem(StatusCode::SERVICE_UNAVAILABLE, "not-ready", &reason.to_string()),
    }
}

fn judge(progress: &Progress, leaving: &CancellationToken) -> Result<(), NotReady> {
    if leaving.is_cancelled() {
        Err(NotReady::Draining)
    } else if !progress.started() {
        Err(NotReady::Starting)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_that_never_saw_the_catalog_is_not_ready() {
        assert_eq!(judge(&Progress::default(), &CancellationToken::new()), Err(NotReady::Starting));
    }

    #[test]
    fn a_gateway_that_drains_is_not_ready() {
        let leaving = CancellationToken::new();
        leaving.cancel();
        assert_eq!(judge(&Progress::default(), &leaving), Err(NotReady::Draining));
    }
}
