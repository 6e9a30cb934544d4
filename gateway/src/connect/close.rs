//! Closing a server connection so that the server lets go of it at once.
//!
//! A backend that is busy does not notice that its client has gone before it next writes, so it is
//! asked to cancel first: also when the network has lost the connection, and again until it is gone, for there may be
//! more behind what it does. Meanwhile what it sends is read, so that nothing keeps it from coming to an end.
//!
//! The permit returns when the server has closed its end: only then is its slot free. A backend that does not let
//! itself be cancelled keeps its permit for as long as it lives.

use super::cancel::{self, CancelTarget, read_to_end};
use crate::pool::ConnectPermit;
use crate::socket;
use crate::stream::ServerStream;
use pgwire::frontend::write;
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::pin::pin;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt, split};
use tokio::time::{sleep, timeout};

/// An idle backend exits within milliseconds of Terminate; one that does not is busy.
const EXPECT_EXIT: Duration = Duration::from_millis(50);

/// The longest wait for a cancel request's connection.
const CANCEL_MAX: Duration = Duration::from_secs(5);

/// Each pause between two cancel requests is so many times as long as the one before.
const PAUSES_GROW: u32 = 4;

/// The longest of them: what comes to nothing so often may cost the server a process a minute.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// A backend that is there for so long after it was asked to cancel does not heed that.
const EXPECT_CANCEL: Duration = Duration::from_secs(1);

/// A server that has not acknowledged what we sent for so long has vanished. It also ends a login that did not come to
/// its end by then, if its `authentication_timeout` is what PostgreSQL begins with.
const LET_GO_MAX: Duration = Duration::from_secs(60);

/// How to reach the backend of a connection that is closed.
pub struct Cancel {
    /// Where, and with which key.
    pub target: CancelTarget,
    /// It was at work for us when the connection was given up. Should the connection have ended by itself,
    /// that says nothing of the backend.
    pub is_at_work: bool,
}

/// Closes a session's connection in a task of its own. Outside a runtime the socket is simply dropped.
pub fn in_background(stream: ServerStream, mut permit: ConnectPermit, cancel: Cancel) {
    permit.mark_closing();
    // If that is refused, the network has lost the connection, or it takes the kernel longer to find that out.
    let _ = socket::give_up_after(stream.socket(), LET_GO_MAX);
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move {
            let mut closed = pin!(close(stream, cancel));
            if timeout(EXPECT_CANCEL, closed.as_mut()).await.is_err() {
                tracing::warn!("a server does not let go of a connection that was closed");
                permit.mark_stuck();
                closed.await;
            }
            drop(permit);
        });
    }
}

/// The same for a login that broke off. There is no key yet to cancel it with, and nothing to cancel.
pub fn login_in_background(stream: ServerStream, mut permit: ConnectPermit) {
    permit.mark_broken_off();
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move {
            if timeout(LET_GO_MAX, part(stream)).await.is_err() {
                tracing::warn!("a server has not closed a connection of a login that broke off");
            }
            drop(permit);
        });
    }
}

async fn close(stream: ServerStream, Cancel { target, is_at_work }: Cancel) {
    let mut parted = pin!(part(stream));
    let asked = async {
        if is_at_work {
            ask_to_cancel(&target).await;
        }
    };
    let (has_parted, ()) = tokio::join!(timeout(EXPECT_EXIT, parted.as_mut()), asked);
    if has_parted.is_err() {
        tokio::select! {
            () = parted => {}
            _never = keep_asking_to_cancel(&target) => {}
        }
    }
}

/// Says goodbye, and resolves when the server has closed its end. A server that is blocked in writing reads no goodbye:
/// what it sends is read meanwhile.
async fn part(stream: ServerStream) {
    let (mut reading, mut writing) = split(stream);
    let goodbye = async {
        // If it cannot be said, reading will tell.
        let _ = say_goodbye(&mut writing).await;
        pending::<()>().await;
    };
    tokio::select! {
        () = read_to_end(&mut reading) => {}
        () = goodbye => {}
    }
}

async fn say_goodbye(stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    let mut goodbye = Vec::with_capacity(5);
    write::terminate(&mut goodbye);
    stream.write_all(&goodbye).await?;
    stream.shutdown().await
}

async fn keep_asking_to_cancel(target: &CancelTarget) -> Infallible {
    let mut pause = EXPECT_EXIT;
    loop {
        ask_to_cancel(target).await;
        sleep(pause).await;
        pause = (pause * PAUSES_GROW).min(PAUSE_MAX);
    }
}

async fn ask_to_cancel(target: &CancelTarget) {
    // If the server cannot be reached, it is asked again.
    let _ = timeout(CANCEL_MAX, cancel::send(target)).await;
}
