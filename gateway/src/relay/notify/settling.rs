//! What becomes of a client's LISTEN when its transaction ends, and what it hears meanwhile.

use super::board::ChannelName;
use super::hub::Claim;
use super::listener::{self, channel_of};
use super::mailbox;
use super::{ChannelChange, Listening};
use crate::pool::Lease;
use crate::relay::effects::Effects;
use crate::relay::exchange::{ClientState, Exchange};
use crate::relay::ledger::{Due, Origin, Request};
use crate::relay::pin::PinReason;
use pgwire::WriteError;
use pgwire::backend::TransactionStatus;
use pgwire::frontend::write;
use std::collections::HashSet;
use std::task::{Context, Poll};

/// Rids a connection of its channels.
const UNLISTEN_ALL: &[u8] = b"unlisten *";

/// A pool with one connection has none to spare for a listener.
const POOL_SIZE_MIN: u32 = 2;

/// Notifications that are remembered so that they are not told twice. Who gets more of them in the instant in which it
/// joins a listener may get some twice.
const HEARD_MAX: usize = 256;

/// Changes that wait while one text commits transactions and begins the next.
const COMMITTED_MAX: usize = 1024;

/// What an exchange has to do with channels.
#[derive(Default)]
pub struct Channels {
    /// Committed, and to be settled when the server is idle.
    committed: Vec<ChannelChange>,
    /// The connection listens by itself, and is to be rid of that.
    listens: bool,
    /// What the client has heard from its own connection since that listens.
    heard: Vec<Box<[u8]>>,
    /// The connection is to become the pool's listener.
    claim: Option<Claim>,
    /// A NOTIFY is carried out.
    notifies: bool,
    /// The listener is to be waited for.
    asks: bool,
    /// The server is ready, and the client is told when the listener has answered.
    is_held: bool,
}

impl Channels {
    /// A statement with these effects is being carried out.
    pub fn note(&mut self, effects: Effects) {
        self.notifies |= effects.any_of(Effects::NOTIFIES);
    }

    /// A LISTEN or UNLISTEN is committed. Says what stays if there are too many: the connection listens, and knows.
    pub fn push(&mut self, change: ChannelChange) -> Effects {
        if self.committed.len() >= COMMITTED_MAX {
            return Effects::LISTEN;
        }
        self.committed.push(change);
        Effects::NONE
    }

    /// The session was discarded.
    pub fn discard(&mut self) {
        self.committed.clear();
        self.committed.push(ChannelChange::UnlistenAll);
    }

    /// Something is still to be settled.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.committed.is_empty()
    }

    /// The server is ready, and the client does not know yet.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.is_held
    }

    /// The connection listens by itself, and is to be rid of that before it is anybody else's.
    #[must_use]
    pub fn is_untidy(&self) -> bool {
        self.listens
    }

    /// What the connection is to become, once it is given back.
    pub fn take_claim(&mut self) -> Option<Claim> {
        self.claim.take()
    }

    /// The client may have the channel from its own connection alone.
    fn is_joining(&self) -> bool {
        !self.committed.is_empty() || self.is_held || self.claim.is_some()
    }
}

/// Can what the client listens to be shared? It cannot where its policy says so, where there is no connection to
/// spare, where notifications would have to be written in another encoding, and where it listens by itself already.
#[must_use]
pub fn is_shared(client: &ClientState, lease: &mut Lease) -> bool {
    client.bounds.listening.is_some()
        && !client.is_native()
        && !client.kept.any_of(Effects::LISTEN)
        && lease.pool().limits().pool_size >= POOL_SIZE_MIN
        && lease
            .server()
            .parameters
            .iter()
            .any(|(name, value)| &**name == "client_encoding" && &**value == listener::ENCODING)
}

/// The client's transactions are over, and this stays of them otherwise. Says what more does: a subscription of the
/// connection's own, where it cannot be shared.
pub fn settle(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    stays: Effects,
) -> Effects {
    let changes = std::mem::take(&mut exchange.channels.committed);
    if changes.is_empty() {
        return Effects::NONE;
    }
    let listens = changes.iter().any(|change| matches!(change, ChannelChange::Listen(_)));
    let current = client.listening.as_ref().map_or_else(HashSet::new, |listening| listening.channels.clone());
    let wanted = apply(current, changes);
    if let Some(listening) = &mut client.listening {
        listening.keep_only(&wanted);
    }
    let by_itself = stays.any_of(Effects::LISTEN);
    let left = match listens && !by_itself {
        true if is_shared(client, lease) => join(exchange, client, lease, &wanted, stays),
        true => Effects::LISTEN,
        false => Effects::NONE,
    };
    if client.listening.as_ref().is_some_and(|listening| listening.channels.is_empty()) {
        client.listening = None;
    }
    left
}

fn apply(mut channels: HashSet<ChannelName>, changes: Vec<ChannelChange>) -> HashSet<ChannelName> {
    for change in changes {
        match change {
            ChannelChange::Listen(name) => drop(channels.insert(name)),
            ChannelChange::Unlisten(name) => drop(channels.remove(&name)),
            ChannelChange::UnlistenAll => channels.clear(),
        }
    }
    channels
}

/// Has the pool's listener listen for the client too, or makes its connection the listener.
fn join(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    wanted: &HashSet<ChannelName>,
    stays: Effects,
) -> Effects {
    let Some(bounds) = client.bounds.listening else { return Effects::LISTEN };
    if wanted.len() > bounds.channels_max {
        return Effects::LISTEN;
    }
    let hub = lease.pool().notifications();
    let may_become_listener = stays.is_none() && !exchange.doubtful && exchange.ledger.len() == 1;
    if client.listening.is_none() && !wanted.is_empty() {
        if !may_become_listener && !hub.is_open() {
            return Effects::LISTEN;
        }
        let (board, claim) = hub.enter();
        exchange.channels.claim = claim;
        client.listening = Some(Box::new(Listening::on(board, client.id, bounds.queue_bytes_max)));
    }
    if let Some(listening) = &mut client.listening {
        match listening.listen(wanted) {
            Some(is_heard) => exchange.channels.asks |= !is_heard,
            None => return Effects::LISTEN,
        }
    }
    exchange.channels.listens = exchange.channels.claim.is_none();
    Effects::NONE
}

/// The client's transaction is over. Says whether it is told only when the listener has answered.
pub fn holds_back(exchange: &mut Exchange, client: &ClientState) -> bool {
    let channels = &mut exchange.channels;
    let asks = std::mem::take(&mut channels.asks) | std::mem::take(&mut channels.notifies);
    let Some(listening) = client.listening.as_ref().filter(|_| channels.claim.is_none()) else {
        return false;
    };
    if asks || !channels.heard.is_empty() {
        listening.board.ask(&listening.mailbox);
        channels.is_held = !listening.mailbox.is_answered();
    }
    channels.is_held
}

/// Has the listener answered?
#[must_use]
pub fn is_answered(client: &ClientState) -> bool {
    client.listening.as_ref().is_none_or(|listening| listening.mailbox.is_answered())
}

/// Ready when the listener has answered.
pub fn poll_answered(cx: &mut Context<'_>, client: &ClientState) -> Poll<()> {
    client.listening.as_ref().map_or(Poll::Ready(()), |listening| listening.mailbox.poll_answered(cx))
}

/// Gives the client what has come for it, before it hears that its transaction is over. As on any server.
pub fn tell(exchange: &mut Exchange, client: &ClientState, lease: &mut Lease) {
    exchange.channels.is_held = false;
    let heard = std::mem::take(&mut exchange.channels.heard);
    let Some(listening) = &client.listening else { return };
    listening.mailbox.forget(&heard);
    listening.mailbox.rename(process_of(lease), client.process_id);
    let told = exchange.down.stage(|out| listening.mailbox.take_into(out));
    lease.pool().usage().notifications.add(told);
}

/// Is the client told of a notification that its own connection has sent? If the listener may send it too, it is
/// remembered.
pub fn is_told(exchange: &mut Exchange, client: &ClientState, message: &[u8]) -> bool {
    if client.is_native() || client.pin == Some(PinReason::Listen) || client.kept.any_of(Effects::LISTEN) {
        return true;
    }
    if client.bounds.listening.is_none() {
        let is_ours = exchange.ledger.current_origin().is_some_and(Origin::is_ours);
        return client.pin.is_some() || !is_ours;
    }
    let is_joining = exchange.changes.subscribes() || exchange.channels.is_joining();
    let is_known = channel_of(message)
        .is_none_or(|channel| client.listening.as_ref().is_some_and(|listening| listening.hears(channel)));
    // Who is about to become the listener has none that would tell it.
    let has_claim = exchange.channels.claim.is_some();
    if !is_joining || (is_known && !exchange.channels.is_held && !has_claim) {
        return false;
    }
    if !has_claim && exchange.channels.heard.len() < HEARD_MAX {
        exchange.channels.heard.push(message.into());
    }
    true
}

/// Puts the client's own number in a notification of its own.
pub fn rename(message: &mut [u8], client: &ClientState, lease: &mut Lease) {
    mailbox::rename(message, process_of(lease), client.process_id);
}

fn process_of(lease: &mut Lease) -> i32 {
    lease.server().cancel_target().key().process_id
}

/// Rids an idle connection of what it listens to by itself. Says whether that is under way now.
///
/// # Errors
/// None: the text fits.
pub fn tidy(exchange: &mut Exchange) -> Result<bool, WriteError> {
    let is_over = exchange.is_at_rest() && exchange.status == TransactionStatus::Idle;
    if !exchange.channels.listens || !is_over {
        return Ok(false);
    }
    exchange.up.stage(|out| write::query(out, UNLISTEN_ALL))?;
    exchange.ledger.expect(Due::of(Request::Query, Origin::Setup));
    exchange.channels.listens = false;
    exchange.unnamed_on_server = false;
    Ok(true)
}

impl Listening {
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
}
