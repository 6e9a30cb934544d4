//! LISTEN for clients that keep no server connection: one connection of the pool listens for all of them.
//!
//! ```text
//!   client ◄── mailbox ◄──┐
//!   client ◄── mailbox ◄──┴── board: who listens to what ◄── listener ◄── server
//! ```
//!
//! A client's LISTEN is carried out by the server like any other statement, in the client's own transaction. Once
//! that is committed ([`settling`]) the client is on the pool's [`board`], and the connection that it used is rid of
//! the channels again. If nobody listens in the pool yet, that very connection becomes the [`listener`]: it listens
//! since the commit, so nothing is missed and nothing waited for. Else the listener is asked to listen too, and the
//! client hears that its transaction has ended when it does.
//!
//! Notifications wait in the client's [`mailbox`], which is bounded, and are written between its transactions only.
//! When any may have been lost, because the listener was or because the client did not read, the client is sent away,
//! as it would be by a server whose backend ends: every driver knows what to do then.
//!
//! A notification never goes to a client of another pool: another database, or another role. A client in session
//! mode, or one that keeps its connection for a LISTEN that cannot be shared, listens by itself.

pub mod board;
pub mod hub;
pub mod listener;
pub mod mailbox;
pub mod settling;

use board::{Board, ChannelName};
use mailbox::{Lost, Mailbox};
use std::collections::HashSet;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::handover::ClientId;

/// A committed LISTEN or UNLISTEN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelChange {
    /// `LISTEN name`.
    Listen(ChannelName),
    /// `UNLISTEN name`.
    Unlisten(ChannelName),
    /// `UNLISTEN *`.
    UnlistenAll,
}

/// A client that listens, for as long as it does.
pub struct Listening {
    client: ClientId,
    board: Arc<Board>,
    mailbox: Arc<Mailbox>,
    channels: HashSet<ChannelName>,
}

impl Listening {
    /// On this board, to nothing yet.
    fn on(board: Arc<Board>, client: ClientId, bytes_max: usize) -> Self {
        let mailbox = Arc::new(Mailbox::new(bytes_max));
        board.enter(client, &mailbox);
        Self { client, board, mailbox, channels: HashSet::new() }
    }

    /// What has come for the client.
    #[must_use]
    pub fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Why notifications were lost, if any may have been.
    #[must_use]
    pub fn lost(&self) -> Option<Lost> {
        self.mailbox.lost()
    }

    /// Ready when something has come, or nothing will any more.
    pub fn poll_mail(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.mailbox.poll_mail(cx)
    }

    fn hears(&self, channel: &[u8]) -> bool {
        self.channels.contains(channel)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.board.leave(self.client, &self.channels);
    }
}
