//! What a server sends: whose it is, and what it changes.

mod completed;
mod outdated;
mod ready;
mod session_state;
mod settled;

use super::effects::Effects;
use super::exchange::{ClientState, Exchange};
use super::handover;
use super::ledger::{Origin, Request, Settled, Verdict};
use super::notify::settling;
use super::refuse;
use crate::admit::storage;
use crate::error::Refusal;
use crate::listen::wire::write_refusal;
use crate::pool::Lease;
use crate::relay::prepared::Complaint;
use completed::command_complete;
use outdated::Described;
use pgwire::backend;
use pgwire::frame::{HEADER_LEN, Header, peek_header};
use pgwire::{Severity, SqlState};
use ready::ready;

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
        let header = peek_header(exchange.down.unread()).map_err(|_malformed| ServerFault::OutOfSync)?;
        let Some(header) = header else {
            // Replies of ours go along with the server's next one, if there is one to come.
            if exchange.ledger.owes_only_local_replies() {
                send_due_local_replies(exchange);
            }
            return Ok(());
        };
        if header.tag == b't' {
            match outdated::heal_described(exchange, client, lease, header) {
                Described::Answer => {}
                Described::Unclear => return Ok(()),
                Described::Healed { error_len } => {
                    exchange.down.discard(header.len);
                    exchange.down.discard(error_len);
                    continue;
                }
            }
        }
        if header.tag != b'E' {
            send_due_local_replies(exchange);
        }
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
        b'D' if exchange.ledger.current_origin() == Some(Origin::Question) => {
            answer(exchange, client, lease, header)
        }
        b'D' | b'd' => reply(exchange, client, lease, header),
        b'S' => parameter(exchange, client, lease, header),
        b'A' => notification(exchange, client, lease, header),
        b'N' => {
            if exchange.ledger.current_origin().is_some_and(Origin::is_ours) {
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

/// A notification, for whoever keeps the connection to listen, or until the pool's listener listens.
fn notification(
    exchange: &mut Exchange,
    client: &ClientState,
    lease: &mut Lease,
    header: Header,
) -> Result<Step, ServerFault> {
    if whole_body(exchange, header)?.is_none() {
        return Ok(Step::NeedMore);
    }
    let mut message = exchange.down.unread()[..header.len].to_vec();
    if settling::is_told(exchange, client, &message) {
        settling::rename(&mut message, client, lease);
        exchange.down.stage(|out| out.extend_from_slice(&message));
        lease.pool().usage().notifications.inc();
    }
    exchange.down.discard(header.len);
    Ok(Step::Next)
}

/// A row of ours, while the database has been asked something.
fn answer(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    header: Header,
) -> Result<Step, ServerFault> {
    let asked = exchange.asked;
    let Some(body) = whole_body(exchange, header)? else { return Ok(Step::NeedMore) };
    if let Some(asked) = asked {
        handover::read_answer(lease.pool(), asked, body);
    }
    reply(exchange, client, lease, header)
}

/// A reply that is forwarded or swallowed without a look inside.
fn reply(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    header: Header,
) -> Result<Step, ServerFault> {
    reply_with(exchange, client, lease, header, None)
}

/// A reply, or an error of ours for the client in its place.
fn reply_with(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    header: Header,
    instead: Option<&Refusal>,
) -> Result<Step, ServerFault> {
    let mut settled = Settled::default();
    match (exchange.ledger.settle(header.tag, &mut settled), instead) {
        (Verdict::Forward, Some(refusal)) => {
            exchange.down.discard(header.len);
            exchange.down.stage(|out| write_refusal(out, refusal, Severity::Error));
        }
        (Verdict::Forward, None) => {
            outdated::answered(exchange, lease, header.tag);
            exchange.recorded.give_up();
            exchange.down.forward(header.len);
        }
        (Verdict::Swallow, _) => exchange.down.discard(header.len),
        (Verdict::OutOfSync, _) if exchange.server_is_leaving => return Err(ServerFault::Lost),
        (Verdict::OutOfSync, _) => return Err(ServerFault::OutOfSync),
    }
    if header.tag == b's' {
        exchange.pace.statement_ended();
        // The portal has not run to its end.
        settled.effects = Effects::NONE;
    }
    settled::apply(exchange, client, lease, settled)?;
    Ok(Step::Next)
}

/// An error that answers a request. A fatal one ends the connection too, and there is nothing to add to it.
fn error(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    header: Header,
) -> Result<Step, ServerFault> {
    let origin = exchange.ledger.current_origin();
    let mut instead = None;
    if header.len <= READ_WHOLE_MAX {
        let Some(body) = whole_body(exchange, header)? else { return Ok(Step::NeedMore) };
        let fields = backend::ErrorFields::new(body);
        let is_fatal = matches!(fields.severity(), Some(Severity::Fatal | Severity::Panic));
        let is_cancel = fields.get(b'C') == Some(SqlState::QUERY_CANCELED.as_bytes());
        let is_read_only = storage::is_about_read_only(fields.get(b'C'));
        let complaint = Complaint::of(&fields).filter(|_| !is_fatal);
        exchange.server_is_leaving |= is_fatal;
        if complaint.is_some_and(|complaint| outdated::heal(exchange, client, lease, complaint)) {
            exchange.down.discard(header.len);
            return Ok(Step::Next);
        }
        instead = exchange.ledger.next_refusal().or_else(|| our_words(exchange, client, is_cancel));
        let is_full = is_read_only && lease.server().began_with.is_read_only();
        if instead.is_none() && is_full && !session_state::wishes_to_read(exchange, client) {
            instead = Some(storage::refusal(lease));
        }
    }
    if origin == Some(Origin::Setup) {
        // What is done ahead of a client's first message has been done before: do not go on without it.
        return Err(ServerFault::Lost);
    }
    if origin == Some(Origin::Question) {
        return reply(exchange, client, lease, header);
    }
    send_due_local_replies(exchange);
    exchange.changes.fail();
    lease.pool().usage().server_errors.inc();
    if let Some(refusal) = &instead {
        lease.pool().usage().refused(refusal.kind());
    }
    reply_with(exchange, client, lease, header, instead.as_ref())
}

/// What the client is told in place of the server's words, where those would not say whose limit it has met.
fn our_words(exchange: &Exchange, client: &ClientState, is_cancel: bool) -> Option<Refusal> {
    if is_cancel && let Some(limit) = exchange.pace.was_cancelled() {
        return Some(limit.refusal());
    }
    let answers_a_call =
        exchange.ledger.next_of_server().is_some_and(|due| due.request == Request::FunctionCall);
    (answers_a_call && !client.is_native()).then(refuse::function_call)
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
    let ours = exchange.ledger.current_origin().is_some_and(Origin::is_ours);
    let resetting = exchange.resetting;
    let Some(body) = whole_body(exchange, header)? else { return Ok(Step::NeedMore) };
    let (name, value) = backend::parameter_status(body).map_err(|_malformed| ServerFault::OutOfSync)?;
    let name = String::from_utf8_lossy(name).into_owned();
    let value = String::from_utf8_lossy(value).into_owned();
    lease.server().report_parameter(&name, &value);
    // What was set behind the reset is the client's wish again.
    let put_back = resetting && lease.pool().welcomes().is_default(&name, &value);
    let wished = client.welcome.settings().get(&name).is_some();
    if exchange.ledger.current_origin() != Some(Origin::Setup) {
        doubt_what_is_unreadable(exchange, lease);
    }
    if !ours {
        session_state::is_now(exchange, &name, &value);
    }
    if !ours && !put_back {
        session_state::reported(exchange, client, lease, &name, &value);
    }
    // A default that the client's next connection will not have is no news for it. What is will be told.
    if ours || (put_back && wished) {
        exchange.down.discard(header.len);
    } else {
        exchange.down.forward(header.len);
    }
    Ok(Step::Next)
}

/// What statements do can not be told from their texts any more.
fn doubt_what_is_unreadable(exchange: &mut Exchange, lease: &mut Lease) {
    exchange.doubtful |= !lease.server().is_readable();
}

/// Our own replies go out when everything before them has been answered.
pub fn send_due_local_replies(exchange: &mut Exchange) {
    while let Some(due) = exchange.ledger.next_local() {
        exchange.recorded.give_up();
        exchange.down.stage(|out| match due.request {
            Request::Close => backend::write::close_complete(out),
            _ => backend::write::parse_complete(out),
        });
    }
}
