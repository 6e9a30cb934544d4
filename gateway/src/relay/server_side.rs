//! What a server sends: whose it is, and what it changes.

use super::effects::{Effects, REPORTED};
use super::exchange::{ClientState, Exchange};
use super::ledger::{Due, Origin, Request, Settled, Verdict};
use super::pin::PinReason;
use super::settings::Settings;
use crate::pool::Lease;
use pgwire::Severity;
use pgwire::backend::{self, TransactionStatus};
use pgwire::frame::{HEADER_LEN, Header, peek_header};
use std::sync::Arc;

/// Messages that are read and not only forwarded are small; a larger one is no such message.
const READ_WHOLE_MAX: usize = 64 * 1024;

/// The server cannot be trusted any further.
pub enum ServerFault {
    /// It sent what was not due, or something malformed.
    OutOfSync,
    /// It is shutting down, or could not be set up for the client.
    Lost,
}

enum Step {
    Next,
    NeedMore,
}

/// Deals with everything that the server has sent.
///
/// # Errors
/// [`ServerFault::OutOfSync`]: the connection must be closed, and the client's too.
pub fn absorb(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
) -> Result<(), ServerFault> {
    while exchange.down.continue_message() {
        send_due_local_replies(exchange);
        let header = peek_header(exchange.down.unread()).map_err(|_malformed| ServerFault::OutOfSync)?;
        let Some(header) = header else { return Ok(()) };
        match absorb_message(exchange, client, lease, header)? {
            Step::Next => {}
            Step::NeedMore => return Ok(()),
        }
    }
    Ok(())
}

fn absorb_message(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    header: Header,
) -> Result<Step, ServerFault> {
    match header.tag {
        // The bulk of all traffic: nothing to read in it.
        b'D' | b'd' => reply(exchange, client, lease, header),
        b'S' => parameter(exchange, client, lease, header),
        b'N' | b'A' => {
            if exchange.ledger.current_origin() == Some(Origin::Setup) {
                exchange.down.discard(header.len);
            } else {
                exchange.down.forward(header.len);
            }
            Ok(Step::Next)
        }
        b'E' if exchange.ledger.is_empty() => {
            // Nobody asked: the server is shutting down or the backend was terminated.
            exchange.server_is_leaving = true;
            exchange.down.forward(header.len);
            Ok(Step::Next)
        }
        b'C' => command_complete(exchange, client, lease, header),
        b'Z' => ready(exchange, client, lease, header),
        b'E' => error(exchange, client, lease, header),
        _ => reply(exchange, client, lease, header),
    }
}

/// A reply that is forwarded or swallowed without a look inside.
fn reply(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    header: Header,
) -> Result<Step, ServerFault> {
    let mut settled = Settled::default();
    match exchange.ledger.settle(header.tag, &mut settled) {
        Verdict::Forward => exchange.down.forward(header.len),
        Verdict::Swallow => exchange.down.discard(header.len),
        Verdict::OutOfSync if exchange.server_is_leaving => return Err(ServerFault::Lost),
        Verdict::OutOfSync => return Err(ServerFault::OutOfSync),
    }
    apply(exchange, client, lease, settled)?;
    Ok(Step::Next)
}

/// An error that answers a request. A fatal one ends the connection too, and there is nothing to add to it.
fn error(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    header: Header,
) -> Result<Step, ServerFault> {
    if header.len <= READ_WHOLE_MAX {
        let Some(body) = whole_body(exchange, header)? else { return Ok(Step::NeedMore) };
        let severity = backend::ErrorFields::new(body).severity();
        exchange.server_is_leaving |= matches!(severity, Some(Severity::Fatal | Severity::Panic));
    }
    lease.pool().usage().server_errors.inc();
    reply(exchange, client, lease, header)
}

fn whole_body(exchange: &mut Exchange, header: Header) -> Result<Option<&[u8]>, ServerFault> {
    if header.len > READ_WHOLE_MAX {
        return Err(ServerFault::OutOfSync);
    }
    if exchange.down.unread().len() < header.len {
        if exchange.down.is_written() {
            exchange.down.reserve(header.len);
        }
        return Ok(None);
    }
    Ok(Some(&exchange.down.unread()[HEADER_LEN..header.len]))
}

fn parameter(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    header: Header,
) -> Result<Step, ServerFault> {
    let ours = exchange.ledger.current_origin() == Some(Origin::Setup);
    let resetting = exchange.resetting;
    let Some(body) = whole_body(exchange, header)? else { return Ok(Step::NeedMore) };
    let (name, value) = backend::parameter_status(body).map_err(|_malformed| ServerFault::OutOfSync)?;
    let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
    let server = lease.server();
    server.report_parameter(&name, &value);
    let wished = client.settings.get(&name).is_some();
    if !ours && !resetting && REPORTED.iter().any(|setting| *setting == name) {
        // The client has changed it: from now on it is part of its session, wherever that runs.
        client.settings = Arc::new(client.settings.with(&name, &value));
        server.settings = Arc::new(server.settings.with(&name, &value));
    }
    // A default that the client's next connection will not have is no news for it.
    if ours || (resetting && wished) {
        exchange.down.discard(header.len);
    } else {
        exchange.down.forward(header.len);
    }
    Ok(Step::Next)
}

fn command_complete(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    header: Header,
) -> Result<Step, ServerFault> {
    let Some(body) = whole_body(exchange, header)? else { return Ok(Step::NeedMore) };
    let tag = backend::command_complete(body).map_err(|_malformed| ServerFault::OutOfSync)?;
    match tag {
        b"DISCARD ALL" => {
            let server = lease.server();
            server.statements.clear();
            server.settings = Arc::new(Settings::default());
            client.statements.clear();
            client.settings = Arc::clone(&client.startup_settings);
            client.pin = None;
            exchange.unnamed_on_server = false;
            exchange.resetting = true;
        }
        b"DEALLOCATE ALL" => {
            lease.server().statements.clear();
            client.statements.clear();
        }
        // A client that keeps no connection has prepared nothing in SQL: it has named one of ours.
        b"DEALLOCATE" if client.pin.is_none() => exchange.doubtful = true,
        _ => {}
    }
    reply(exchange, client, lease, header)
}

fn ready(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    header: Header,
) -> Result<Step, ServerFault> {
    let Some(body) = whole_body(exchange, header)? else { return Ok(Step::NeedMore) };
    exchange.status = backend::ready_for_query(body).map_err(|_malformed| ServerFault::OutOfSync)?;
    let for_client = exchange.ledger.current_origin() != Some(Origin::Setup);
    if for_client && exchange.status == TransactionStatus::Idle {
        lease.pool().usage().transactions.inc();
    }
    let step = reply(exchange, client, lease, header)?;
    exchange.resetting = false;
    Ok(step)
}

/// Our own replies go out when everything before them has been answered.
pub fn send_due_local_replies(exchange: &mut Exchange) {
    while let Some(due) = exchange.ledger.next_local() {
        exchange.down.stage(|out| match due.request {
            Request::Close => backend::write::close_complete(out),
            _ => backend::write::parse_complete(out),
        });
    }
}

fn apply(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    settled: Settled,
) -> Result<(), ServerFault> {
    if !settled.effects.is_none() {
        keep_state(exchange, client, lease, settled.effects);
    }
    // Last first, as each was noted on top of those before it.
    for due in settled.failed.into_iter().rev() {
        if due.origin == Origin::Setup {
            // These settings were accepted before, so the connection is at fault: do not go on with it.
            return Err(ServerFault::Lost);
        }
        undo(exchange, client, lease, due);
    }
    send_due_local_replies(exchange);
    Ok(())
}

fn keep_state(exchange: &mut Exchange, client: &mut ClientState, lease: &mut Lease, effects: Effects) {
    if effects.any_of(Effects::UNKNOWN) {
        exchange.doubtful = true;
    }
    if effects.any_of(Effects::RESET_ALL) {
        // Should its transaction be rolled back, the server reports what is in force then.
        lease.server().settings_uncertain = true;
        client.settings = Arc::clone(&client.startup_settings);
        exchange.resetting = true;
    }
    if client.pin.is_none()
        && let Some(reason) = PinReason::from_effects(effects)
    {
        client.pin = Some(reason);
        lease.pool().usage().pinned(reason);
    }
}

/// The server has thrown a request away: what was noted when it was sent is not so.
fn undo(exchange: &mut Exchange, client: &mut ClientState, lease: &mut Lease, due: Due) {
    match (due.request, due.origin, due.statement) {
        (Request::Parse, _, Some(statement)) => lease.server().statements.remove(&statement),
        (Request::Parse, Origin::Client | Origin::Replay, None) => exchange.unnamed_on_server = false,
        (Request::Close, Origin::Replay, Some(statement)) => {
            lease.server().statements.add(&statement);
        }
        (Request::Close, Origin::Local, Some(statement)) => {
            if let Some(name) = &due.client_name {
                // It was within the bounds before, so it still is.
                let _ = client.statements.insert(name, statement, usize::MAX);
            }
            return;
        }
        _ => {}
    }
    if let Some(name) = due.client_name {
        // A later Parse has already put another unnamed statement in this one's place.
        let superseded = name.is_empty() && exchange.ledger.prepares_unnamed();
        if !superseded {
            client.statements.remove(&name);
        }
    }
}
