//! Sending the rest of a result that is larger than what is held.
//!
//! Status and headers are on their way by now. What goes wrong from here on breaks the body off, but for a format that
//! has a line for it.

use super::caller::Caller;
use super::failure::Failure;
use super::query::{Filled, Run};
use super::sql::{self, Hold};
use super::stream::{Outlet, PIECE_BYTES, SendError};
use super::visit::Visit;
use crate::admit::{self, ClientPermit};
use crate::counted::Counted;
use crate::error::Refusal;
use crate::metrics::GatewayUsage;
use crate::shared::Shared;
use hyper::Version;
use std::sync::Arc;
use std::time::Duration;
use tenancy::ErrorKind;
use tokio::time::{Instant, sleep, sleep_until};

/// How often it is asked whether the client may still be served: what is withdrawn is in force within a second.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// How a stream has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// It is whole.
    Complete,
    /// By an error.
    Failed,
    /// The client did not read.
    Stalled,
    /// The client has left.
    Left,
}

impl StreamEnd {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Complete, Self::Failed, Self::Stalled, Self::Left];

    /// The metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Stalled => "stalled",
            Self::Left => "left",
        }
    }
}

/// Whom a stream is for, and how long it may go on.
pub struct Watch {
    /// The sender.
    pub caller: Caller,
    /// Its place among the tenant's clients, until this has ended and the body is gone.
    pub client: Arc<ClientPermit>,
    /// Its request.
    pub visit: Arc<Visit>,
    /// The version of HTTP that it speaks.
    pub version: Version,
    /// What ends it whatever its sender does.
    pub(super) hold: Hold,
    /// When the stream has to have ended.
    pub deadline: Instant,
    /// What all share.
    pub shared: Arc<Shared>,
}

/// Why a stream is not whole.
enum Broken {
    Failed(Failure),
    Stalled,
    Left,
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<SendError> for Broken {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Left => Self::Left,
            SendError::Stalled => Self::Stalled,
            SendError::Encoder(error) => {
                tracing::error!(%error, "a result could not be compressed");
                Self::Failed(Refusal::new(ErrorKind::Internal, "the result could not be compressed").into())
            }
        }
    }
}

/// Sends what there is of the result, and the rest as it comes.
pub async fn pour(mut run: Run, mut outlet: Outlet, watch: Watch) {
    let usage = &watch.shared.usage;
    let _open = Counted::new(&usage.http_streams_open);
    let left = outlet.left();
    let sent = tokio::select! {
        sent = send_all(&mut run, &mut outlet, usage) => sent,
        () = left => Err(Broken::Left),
        refusal = watch.over() => Err(Broken::Failed(refusal.into())),
    };
    let sent = match sent {
        Ok(()) => outlet.end().await.map_err(Broken::from),
        Err(Broken::Failed(failure)) => {
            count(&failure, &watch);
            tell(&mut run, outlet, failure).await;
            return usage.stream_ended(StreamEnd::Failed);
        }
        Err(broken) => Err(broken),
    };
    // First of all the server connection goes to others.
    drop(run);
    usage.stream_ended(match sent {
        Ok(()) => StreamEnd::Complete,
        Err(Broken::Failed(_)) => StreamEnd::Failed,
        Err(Broken::Stalled) => {
            watch.client_does_not_read();
            StreamEnd::Stalled
        }
        Err(Broken::Left) => {
            watch.visit.abandoned();
            StreamEnd::Left
        }
    });
}

async fn send_all(run: &mut Run, outlet: &mut Outlet, usage: &GatewayUsage) -> Result<(), Broken> {
    let mut filled = Filled::Part;
    loop {
        outlet.send(run.take(2 * PIECE_BYTES)).await?;
        if filled == Filled::All {
            return Ok(());
        }
        filled = run.fill(PIECE_BYTES, usage).await?;
    }
}

/// Says in the body why there is no more of it, where its format can. Else it breaks off here.
async fn tell(run: &mut Run, mut outlet: Outlet, failure: Failure) {
    if !outlet.is_at_line_end() {
        // Half a row was sent, or the format has no lines.
        return;
    }
    let Some(line) = run.fail(&failure.into_body()) else { return };
    if outlet.send(line).await.is_ok() {
        // A client that does not take even that has been told what it will hear.
        let _ = outlet.end().await;
    }
}

fn count(failure: &Failure, watch: &Watch) {
    if let Some(kind) = failure.kind() {
        watch.caller.tenant.usage().refused(kind);
        tracing::info!(kind = kind.as_str(), "a result broke off");
    }
}

impl Watch {
    /// Resolves when the stream has to end.
    async fn over(&self) -> Refusal {
        let cut_off = self.caller.tenant.gate().cut_off();
        let withdrawn = async {
            loop {
                let welcome = sql::still_let_in(&self.caller, &self.shared)
                    .and_then(|()| admit::check_state(&self.caller.tenant))
                    .and_then(|()| admit::storage::may_go_on(&self.caller.tenant, self.hold.access));
                if let Err(refusal) = welcome {
                    return refusal;
                }
                sleep(LOOK_INTERVAL).await;
            }
        };
        tokio::select! {
            () = cut_off => sql::terminated(),
            refusal = withdrawn => refusal,
            refusal = self.hold.limit.over() => refusal,
            () = sleep_until(self.deadline) => sql::cancelled(),
        }
    }

    /// HTTP/2 resets the stream when the client takes something again, and its others go on, but for one that makes a habit
    /// of it; HTTP/1.1 has but the connection.
    fn client_does_not_read(&self) {
        self.caller.tenant.usage().refused(ErrorKind::ClientTimeout);
        tracing::info!(kind = ErrorKind::ClientTimeout.as_str(), "a client did not read its result");
        if self.version < Version::HTTP_2 {
            self.visit.cut();
        } else {
            self.visit.stalled();
        }
    }
}
