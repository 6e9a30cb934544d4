//! Closing a server connection so that the server lets go of it at once.
//!
//! A backend that is busy does not notice that its client has gone before it next writes, so it is
//! asked to cancel first. The permit returns when the server has closed its end: only then is its slot
//! free. A server that never does so costs the budget one connection for [`LET_GO_MAX`].

use super::cancel::{self, CancelTarget, read_to_end};
use crate::pool::ConnectPermit;
use crate::stream::ServerStream;
use pgwire::frontend::write;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

/// An idle backend exits within milliseconds of Terminate; one that does not is busy.
const EXPECT_EXIT: Duration = Duration::from_millis(50);

/// The longest wait for a cancel request's connection.
const CANCEL_MAX: Duration = Duration::from_secs(5);

/// After this long the server is taken to have lost the connection without telling us.
const LET_GO_MAX: Duration = Duration::from_secs(60);

/// Closes the connection in a task of its own. Outside a runtime the socket is simply dropped.
///
/// `cancel` is how to reach the backend when it is busy; a login that broke off has no key yet.
pub fn in_background(stream: ServerStream, mut permit: ConnectPermit, cancel: Option<CancelTarget>) {
    permit.mark_closing();
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move {
            if timeout(LET_GO_MAX, close(stream, cancel)).await.is_err() {
                tracing::warn!("a server has not closed a connection that we closed");
            }
            drop(permit);
        });
    }
}

async fn close(mut stream: ServerStream, cancel: Option<CancelTarget>) {
    let mut goodbye = Vec::with_capacity(5);
    write::terminate(&mut goodbye);
    if stream.write_all(&goodbye).await.is_err() || stream.shutdown().await.is_err() {
        return;
    }
    if timeout(EXPECT_EXIT, read_to_end(&mut stream)).await.is_err() {
        if let Some(target) = cancel {
            let _ = timeout(CANCEL_MAX, cancel::send(&target)).await;
        }
        read_to_end(&mut stream).await;
    }
}
