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
pub mod channels;
pub mod hub;
pub mod listener;
pub mod lost;
pub mod mailbox;
pub mod settling;

use board::{Board, ChannelName};
use hub::{Claim, Hub};
use lost::Lost;
use mailbox::Mailbox;
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
    /// On the pool's board, to nothing yet: see [`Hub::enter`].
    fn enter(
        hub: &Hub,
        client: ClientId,
        bytes_max: usize,
        may_claim: bool,
    ) -> Option<(Self, Option<Claim>)> {
        let mailbox = Arc::new(Mailbox::new(bytes_max));
        let (board, claim) = hub.enter(client, &mailbox, may_claim)?;
        Some((Self { client, board, mailbox, channels: HashSet::new() }, claim))
    }

    /// Listens to all of these; says whether the listener does already. `None`: there are too many.
    fn listen(&mut self, wanted: &HashSet<ChannelName>) -> Option<bool> {
        let new: Vec<ChannelName> = wanted.difference(&self.channels).cloned().collect();
        let is_heard = new.is_empty() || self.board.listen(self.client, &new).ok()?;
        self.channels.extend(new);
        Some(is_heard)
    }

    /// Listens to no others.
    fn keep_only(&mut self, wanted: &HashSet<ChannelName>) {
        let gone: Vec<ChannelName> = self.channels.difference(wanted).cloned().collect();
        if !gone.is_empty() {
            self.board.unlisten(self.client, &gone);
            self.channels.retain(|name| wanted.contains(name));
        }
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
