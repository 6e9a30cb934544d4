//! Closing a server connection so that the server lets go of it at once.
//!
//! A backend that is busy does not notice that its client has gone before it next writes, so it is
//! asked to cancel first: also when the network has lost the connection. The permit returns when the server has closed its end: only then is its slot
//! free. A server that never does so costs the budget one connection for [`LET_GO_MAX`].

use super::cancel::{self, CancelTarget, read_to_end};
use crate::pool::ConnectPermit;
use crate::stream::ServerStream;
use pgwire::frontend::write;
use std::io;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

/// An idle backend exits within milliseconds of Terminate; one that does not is busy.
const EXPECT_EXIT: Duration = Duration::from_millis(50);

/// The longest wait for a cancel request's connection.
const CANCEL_MAX: Duration = Duration::from_secs(5);

/// After this long the server is taken to have lost the connection without telling us.
const LET_GO_MAX: Duration = Duration::from_secs(60);

/// How to reach the backend of a connection that is closed.
pub struct Cancel {
    /// Where, and with which key.
    pub target: CancelTarget,
    /// It was at work for us when the connection was given up. Should the connection have ended by itself,
    /// that says nothing of the backend.
    pub is_at_work: bool,
}

/// Closes the connection in a task of its own. Outside a runtime the socket is simply dropped.
///
/// `cancel` is how to reach the backend when it is busy; a login that broke off has no key yet.
pub fn in_background(stream: ServerStream, mut permit: ConnectPermit, cancel: Option<Cancel>) {
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

async fn close(mut stream: ServerStream, cancel: Option<Cancel>) {
    let has_ended = say_goodbye(&mut stream).await.is_err()
        || timeout(EXPECT_EXIT, read_to_end(&mut stream)).await.is_ok();
    if let Some(Cancel { target, is_at_work }) = cancel
        && (is_at_work || !has_ended)
    {
        let _ = timeout(CANCEL_MAX, cancel::send(&target)).await;
    }
    if !has_ended {
        read_to_end(&mut stream).await;
    }
}

async fn say_goodbye(stream: &mut ServerStream) -> io::Result<()> {
    let mut goodbye = Vec::with_capacity(5);
    write::terminate(&mut goodbye);
    stream.write_all(&goodbye).await?;
    stream.shutdown().await
}
