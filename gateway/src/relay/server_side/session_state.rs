//! What the server's answers say of the session: what follows the client from now on, what keeps it on its
//! connection, and what is over.

use crate::pool::Lease;
use crate::relay::changes::Told;
use crate::relay::effects::change::{Change, Value};
use crate::relay::effects::{Effects, REPORTED};
use crate::relay::exchange::{ClientState, Exchange};
use crate::relay::handover;
use crate::relay::ledger::Request;
use crate::relay::notify::settling;
use crate::relay::pin::PinReason;
use crate::relay::settings::Settings;
use pgwire::backend::{TransactionStatus, write};
use std::sync::Arc;

/// The setting that is reported by PostgreSQL 18 and not by older ones.
const SEARCH_PATH: &str = "search_path";

/// Notes what statements leave behind that are being carried out.
pub(super) fn keep(exchange: &mut Exchange, client: &mut ClientState, lease: &mut Lease, effects: Effects) {
    exchange.doubtful |= effects.any_of(Effects::UNKNOWN);
    exchange.only_reads |= effects.any_of(Effects::ONLY_READS);
    let effects = effects.without(Effects::ONLY_READS);
    if effects.any_of(Effects::RESET_ALL) {
        // Should its transaction be rolled back, the server reports what is in force then; the rest is kept
        // to be restored.
        lease.server().settings_uncertain = true;
        exchange.before_reset.get_or_insert_with(|| Arc::clone(&client.settings));
        client.settings = Arc::clone(client.welcome.settings());
        exchange.resetting = true;
    }
    let facts = lease.pool().database().facts();
    lease.server().traces.note(effects, facts);
    let mut effects = with_subscription(with_search_path(effects, lease), client, lease);
    if exchange.changes.hides_temporary(effects) {
        effects |= Effects::TEMPORARY;
    }
    exchange.changes.note(effects);
    exchange.channels.note(effects);
    // Until the transaction's end tells more.
    client.pin = client.pin.or_else(|| PinReason::from_effects(effects));
}

/// Does the client itself wish that nothing is written where it is now?
pub(super) fn wishes_to_read(exchange: &Exchange, client: &ClientState) -> bool {
    let under_way = exchange.ledger.next_of_server().map_or(Effects::NONE, |due| due.effects);
    exchange.only_reads || under_way.any_of(Effects::ONLY_READS) || client.begins_to_read()
}

/// What becomes of the search path is reported, or it is a setting like any other that we cannot tell.
fn with_search_path(effects: Effects, lease: &mut Lease) -> Effects {
    if !effects.any_of(Effects::SEARCH_PATH) {
        return effects;
    }
    let unknown = Effects::SETTING | Effects::UNKNOWN_SETTING;
    let effects = effects.without(Effects::SEARCH_PATH);
    if lease.server().reports(SEARCH_PATH) { effects } else { effects | unknown }
}

/// What cannot be shared with others is the connection's own.
fn with_subscription(effects: Effects, client: &ClientState, lease: &mut Lease) -> Effects {
    if !effects.any_of(Effects::SUBSCRIBES) || settling::is_shared(client, lease) {
        return effects;
    }
    effects.without(Effects::SUBSCRIBES) | Effects::LISTEN
}

/// A statement was completed; its reply is not settled yet.
pub(super) fn completed(exchange: &mut Exchange, told: Told) {
    let by_execute = exchange.ledger.next_of_server().is_some_and(|due| due.request == Request::Execute);
    if matches!(told, Told::Changed | Told::Called | Told::Listened)
        && let Some(change) = exchange.ledger.next_change(told)
    {
        if by_execute {
            exchange.changes.executed();
        }
        exchange.changes.push(change);
    }
    exchange.changes.answered(told);
}

/// The server has reported a setting that is now the client's wish.
pub(super) fn reported(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    name: &str,
    value: &str,
) {
    if name != SEARCH_PATH && !REPORTED.contains(&name) {
        return;
    }
    follow(client, lease, name, value);
    if name == SEARCH_PATH && value.to_ascii_lowercase().contains("pg_temp") {
        // Objects may be temporary although no text says so.
        exchange.changes.note(Effects::TEMPORARY);
    }
}

/// Should all settings be put back where they were before a reset, this one has what was reported last.
pub(super) fn is_now(exchange: &mut Exchange, name: &str, value: &str) {
    if let Some(before) = &mut exchange.before_reset
        && REPORTED.contains(&name)
    {
        *before = Arc::new(before.with(name, value));
    }
}

/// Settings were put back, or have not been after all: the client is told what is in force for it now of those
/// that it has wished for. Outside of a transaction these have their first values before its next request.
pub(super) fn tell_what_is_in_force(exchange: &mut Exchange, client: &ClientState, lease: &mut Lease) {
    let (settings, welcome) = (&client.settings, &client.welcome);
    let is_over = exchange.status == TransactionStatus::Idle;
    let server = lease.server();
    for (name, at_first) in welcome.parameters() {
        let Some(wished) = welcome.settings().get(name) else { continue };
        let mut current = server.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        if is_over && settings.get(name) == Some(wished) {
            current = Some(at_first);
        }
        if let Some(value) = current {
            exchange.down.stage(|out| write::parameter_status(out, name.as_bytes(), value.as_bytes()));
        }
    }
}

/// `DISCARD ALL` was carried out.
pub(super) fn discarded(exchange: &mut Exchange, client: &mut ClientState, lease: &mut Lease) {
    // It unloads nothing: the client is free, and the connection is closed.
    exchange.doubtful |= client.kept.any_of(Effects::LIBRARY);
    let server = lease.server();
    server.settings = Arc::new(Settings::default());
    server.settings_uncertain = false;
    client.settings = Arc::clone(client.welcome.settings());
    client.kept = Effects::NONE;
    exchange.changes.clear();
    exchange.channels.discard();
    exchange.before_reset = None;
    exchange.resetting = true;
    repin(client);
}

/// The server is ready: what was committed stands, what was rolled back does not.
pub(super) fn settle(exchange: &mut Exchange, client: &mut ClientState, lease: &mut Lease) {
    let is_over = exchange.status == TransactionStatus::Idle;
    if is_over {
        let pool = Arc::clone(lease.pool());
        exchange.doubtful |= handover::transaction_ended(lease.server(), &pool);
    } else {
        // Who knows what is dropped by the time it ends.
        let facts = lease.pool().database().facts();
        lease.server().traces.judge(facts);
    }
    if exchange.changes.is_quiet() && !(is_over && exchange.channels.is_waiting()) {
        return;
    }
    let settlement = exchange.changes.ready(exchange.status);
    let mut left = settlement.left;
    for change in settlement.changes {
        left |= apply(exchange, client, lease, change);
    }
    if settlement.unclear {
        lease.server().settings_uncertain = true;
        left |= Effects::SETTING;
    }
    if left.any_of(Effects::SUBSCRIBES) && settlement.unclear {
        // What it listens to, only the connection knows.
        left |= Effects::LISTEN;
    }
    if settlement.channels_unclear {
        exchange.channels.untold();
    }
    if is_over
        && let Some(before) = exchange.before_reset.take()
        && settlement.rolled_back
    {
        restore(client, &before);
    }
    let was = PinReason::from_effects(client.kept);
    client.kept = PinReason::pinning((client.kept | left).without(settlement.undone));
    if is_over {
        let stays = client.kept;
        client.kept = stays | settling::settle(exchange, client, lease, stays);
    }
    let is = PinReason::from_effects(client.kept);
    if is_over {
        repin(client);
    }
    if let Some(reason) = is.filter(|_| is != was) {
        lease.pool().usage().pinned(reason);
    }
}

/// The settings that a rolled back RESET ALL had taken away. The server reports again only those of which it has
/// said since that they are gone.
fn restore(client: &mut ClientState, before: &Settings) {
    for (name, value) in before.iter() {
        client.settings = Arc::new(client.settings.with(name, value));
    }
}

/// A pin lasts as long as its reason. That of a whole session is not ours to end.
fn repin(client: &mut ClientState) {
    if client.pin != Some(PinReason::SessionMode) {
        client.pin = PinReason::from_effects(client.kept);
    }
}

fn apply(exchange: &mut Exchange, client: &mut ClientState, lease: &mut Lease, change: Change) -> Effects {
    match change {
        Change::Channel(change) => return exchange.channels.push(change),
        Change::Set(values) | Change::Called(values) => return set(client, lease, &values),
        Change::Reset(name) => {
            let server = lease.server();
            server.settings = Arc::new(server.settings.without(&name));
            let at_start = client.welcome.settings().get(&name);
            client.settings = Arc::new(match at_start {
                Some(value) => client.settings.with(&name, value),
                None => client.settings.without(&name),
            });
        }
        // Done when it was answered.
        Change::ResetAll | Change::Nothing => {}
    }
    Effects::NONE
}

fn set(client: &mut ClientState, lease: &mut Lease, values: &[Value]) -> Effects {
    for (name, value) in values {
        if !client.settings.has_room_for(name, value) {
            return Effects::SETTING;
        }
        follow(client, lease, name, value);
    }
    Effects::NONE
}

/// From now on it is part of the client's session, wherever that runs. Connection and client share the one
/// list if they can, which makes it cheap to see that nothing need be set.
fn follow(client: &mut ClientState, lease: &mut Lease, name: &str, value: &str) {
    let server = lease.server();
    let shared = Arc::ptr_eq(&client.settings, &server.settings);
    client.settings = Arc::new(client.settings.with(name, value));
    server.settings = match shared {
        true => Arc::clone(&client.settings),
        false => Arc::new(server.settings.with(name, value)),
    };
}
