//! What becomes of a client's LISTEN when its transaction ends, and what it hears meanwhile.

use super::board::ChannelName;
use super::listener::{self, channel_of};
use super::lost::Lost;
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
pub const POOL_SIZE_MIN: u32 = 2;

/// Notifications that are remembered so that they are not told twice. Who gets more of them in the instant in which it
/// joins a listener may get some twice.
const HEARD_MAX: usize = 256;

/// Can what the client listens to be shared? It cannot where its policy says so, where there is no connection to
/// spare, where notifications would have to be written in another encoding, and where it listens by itself already.
#[must_use]
pub fn is_shared(client: &ClientState, lease: &mut Lease) -> bool {
    client.bounds.listening.is_some()
        && !client.is_native()
        && !client.kept.any_of(Effects::LISTEN)
        && lease.pool().limits().pool_size >= POOL_SIZE_MIN
        && is_in_our_encoding(client, lease)
}

/// Does the client read what the listener hears? What it began with may be set again on its next connection only.
fn is_in_our_encoding(client: &ClientState, lease: &mut Lease) -> bool {
    const SETTING: &str = "client_encoding";
    let at_first = client.welcome.settings().get(SETTING);
    let parameters = match at_first.is_some() && client.settings.get(SETTING) == at_first {
        true => client.welcome.parameters(),
        false => &lease.server().parameters,
    };
    parameters.iter().any(|(name, value)| &**name == SETTING && &**value == listener::ENCODING)
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
    if std::mem::take(&mut exchange.channels.is_untold)
        && let Some(listening) = &client.listening
    {
        listening.mailbox.lose(Lost::Untold);
    }
    if changes.is_empty() {
        return Effects::NONE;
    }
    let new = listened_to(&changes);
    let current = client.listening.as_ref().map_or_else(HashSet::new, |listening| listening.channels.clone());
    let mut wanted = apply(current, changes);
    if let Some(listening) = &mut client.listening {
        listening.keep_only(&wanted);
    }
    let by_itself = stays.any_of(Effects::LISTEN);
    let left = match !new.is_empty() && !by_itself {
        true if is_shared(client, lease) => join(exchange, client, lease, &wanted, stays),
        true => Effects::LISTEN,
        false => Effects::NONE,
    };
    if (stays | left).any_of(Effects::LISTEN)
        && let Some(listening) = &mut client.listening
    {
        // What it hears by itself it is not to hear twice.
        wanted.retain(|name| !new.contains(name));
        listening.keep_only(&wanted);
    }
    let is_done = |listening: &Listening| listening.channels.is_empty() && listening.lost().is_none();
    if client.listening.as_ref().is_some_and(|listening| is_done(listening)) {
        client.listening = None;
    }
    left
}

fn listened_to(changes: &[ChannelChange]) -> HashSet<ChannelName> {
    let name = |change: &ChannelChange| match change {
        ChannelChange::Listen(name) => Some(name.clone()),
        ChannelChange::Unlisten(_) | ChannelChange::UnlistenAll => None,
    };
    changes.iter().filter_map(name).collect()
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
        let entered = Listening::enter(hub, client.id, bounds.queue_bytes_max, may_become_listener);
        let Some((listening, claim)) = entered else { return Effects::LISTEN };
        exchange.channels.claim = claim;
        client.listening = Some(Box::new(listening));
    }
    if let Some(listening) = &mut client.listening {
        match listening.listen(wanted) {
            Some(is_heard) => exchange.channels.asks |= !is_heard,
            None => {
                exchange.channels.claim = None;
                return Effects::LISTEN;
            }
        }
    }
    exchange.channels.listens = exchange.channels.claim.is_none();
    Effects::NONE
}

/// The client's transaction is over. Says whether it is told only when the listener has answered.
pub fn holds_back(exchange: &mut Exchange, client: &ClientState) -> bool {
    let channels = &mut exchange.channels;
    let notifies = std::mem::take(&mut channels.notifies);
    let asks = std::mem::take(&mut channels.asks) || notifies;
    channels.has_notified |= notifies;
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
    let channels = &mut exchange.channels;
    channels.is_held = false;
    let heard = std::mem::take(&mut channels.heard);
    let (from, has_notified) =
        (std::mem::take(&mut channels.mail_before), std::mem::take(&mut channels.has_notified));
    let Some(listening) = &client.listening else { return };
    if !is_in_our_encoding(client, lease) {
        return listening.mailbox.lose(Lost::Encoding);
    }
    listening.mailbox.forget(&heard, from);
    if has_notified {
        listening.mailbox.rename(process_of(lease), client.process_id, from);
    }
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
