//! Messages that name prepared statements: Bind, Describe and Close, and SQL that gives one up.
//!
//! The client's names stay with us; the server knows a statement by the name that its text has in the
//! pool. Everything else in these messages is forwarded as it came.

use super::bound::Bound;
use super::parsing::{deallocation_query, is_d};
use super::target::Target;
use super::{Step, forward, whole_body};
use crate::error::Refusal;
use crate::pool::Lease;
use crate::relay::exchange::{ClientState, Exchange};
use crate::relay::ledger::{Due, Origin, Request};
use crate::relay::prepared::{NAME_PREFIX, SACRIFICE, reading};
use pgwire::frame::{HEADER_LEN, Header};
use pgwire::frontend::{self, STATEMENT, write};

/// Describe, Close and the head of Bind hold names only; no real name comes near this.
const NAMES_BYTES_MAX: usize = 8 * 1024;

pub(super) fn bind(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    header: Header,
) -> Result<Step, Refusal> {
    let unread = exchange.up.unread();
    let head = &unread[HEADER_LEN..unread.len().min(header.len)];
    let Some((portal_len, name_len)) = two_names(head) else {
        return names_incomplete(exchange, header);
    };
    let name = &head[portal_len + 1..portal_len + 1 + name_len];
    let target = Target::of(exchange, client, name);
    if target.is_uncertain(exchange, name) {
        return Ok(Step::NeedMore);
    }
    let effects = target.effects(client);
    let bound = Bound::new(&head[..portal_len], effects, target.changes(client));
    exchange.note_discard(effects);
    exchange.names_changed |= target.changes_names(client);
    exchange.bound = bound;
    let head_len = HEADER_LEN + portal_len + 1 + name_len + 1;
    let rest_len = header.len - head_len;
    let given_up = give_up_own(exchange, client, &target)?;
    match target.prepare(exchange, client, lease)? {
        None => exchange.up.forward(header.len),
        Some(server_name) => {
            exchange.up.stage_from_unread(|unread, out| {
                let portal = &unread[HEADER_LEN..HEADER_LEN + portal_len];
                write::bind_head(out, portal, server_name, rest_len)
            })?;
            exchange.up.forward_tail(head_len, header.len);
        }
    }
    let due = match given_up {
        Some(given_up) => Due { request: Request::Bind, origin: Origin::Client, ..given_up },
        None => Due { statement: target.into_statement(), ..Due::to_client(Request::Bind) },
    };
    let effects = effects.without(Bound::at_end(effects));
    exchange.ledger.expect(Due { effects, ..due });
    Ok(Step::Next)
}

pub(super) fn describe_or_close(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    header: Header,
) -> Result<Step, Refusal> {
    if header.len > NAMES_BYTES_MAX {
        return Err(Refusal::protocol("a name is too long"));
    }
    let Some(body) = whole_body(exchange, header) else { return Ok(Step::NeedMore) };
    let view =
        frontend::DescribeOrClose::parse(body).map_err(|error| Refusal::protocol(error.to_string()))?;
    let request = if header.tag == b'D' { Request::Describe } else { Request::Close };
    if view.kind != STATEMENT {
        return Ok(forward(exchange, header, Due::to_client(request)));
    }
    if request == Request::Close {
        let name = view.name.into();
        return Ok(close_statement(exchange, client, header, name));
    }
    // A second look at the same bytes: the first one holds the exchange as a whole.
    let name_len = view.name.len();
    let name = &exchange.up.unread()[HEADER_LEN + 1..HEADER_LEN + 1 + name_len];
    let target = Target::of(exchange, client, name);
    if target.is_uncertain(exchange, name) {
        return Ok(Step::NeedMore);
    }
    match target.prepare(exchange, client, lease)? {
        None => exchange.up.forward(header.len),
        Some(server_name) => {
            exchange.up.stage(|out| write::describe(out, STATEMENT, server_name))?;
            exchange.up.discard(header.len);
        }
    }
    let due = Due { statement: target.into_statement(), ..Due::to_client(Request::Describe) };
    exchange.ledger.expect(due);
    Ok(Step::Next)
}

/// A named statement is only forgotten: other clients of the pool may use the one on the server. A name of
/// ours must not reach it for the same reason; to the client it is nobody's, and closing that is no error.
fn close_statement(
    exchange: &mut Exchange,
    client: &mut ClientState,
    header: Header,
    name: Box<[u8]>,
) -> Step {
    let statement = client.statements.named(&name).cloned();
    client.statements.remove(&name);
    if statement.is_none() && !name.starts_with(NAME_PREFIX.as_bytes()) {
        return forward(exchange, header, Due::to_client(Request::Close));
    }
    let client_name = statement.is_some().then_some(name);
    let due = Due { statement, client_name, ..Due::of(Request::Close, Origin::Local) };
    exchange.ledger.expect(due);
    exchange.up.discard(header.len);
    Step::Next
}

/// `DEALLOCATE` of a statement that the client has prepared by Parse, as a simple query: drivers do so.
/// The server deallocates one of ours in its place, so that it says itself what comes of it.
pub(super) fn deallocate(
    exchange: &mut Exchange,
    client: &mut ClientState,
    header: Header,
) -> Result<Option<Step>, Refusal> {
    if !client.statements.has_named() {
        return Ok(None);
    }
    // One so large that it is not read whole says something else.
    let Some(text) = exchange.up.unread().get(HEADER_LEN..header.len) else { return Ok(None) };
    if !text.trim_ascii_start().first().is_some_and(is_d) {
        return Ok(None);
    }
    let Some(name) = reading::deallocated_name(text.strip_suffix(b"\0").unwrap_or(text)) else {
        return Ok(None);
    };
    let Some(statement) = client.statements.named(&name) else { return Ok(None) };
    if exchange.ledger.is_uncertain(statement, &name) {
        return Ok(Some(Step::NeedMore));
    }
    let given_up = give_up(exchange, client, &name)?;
    // Should we be refused, the server is to go on with the query all the same.
    exchange.up.stage(write::sync);
    exchange.ledger.expect_sync(Origin::Replay);
    exchange.unnamed_on_server = false;
    exchange.up.stage(|out| write::query(out, &deallocation_query()))?;
    exchange.ledger.expect(Due { request: Request::Query, origin: Origin::Client, ..given_up });
    exchange.up.discard(header.len);
    Ok(Some(Step::Next))
}

/// The same, by an unnamed statement that is about to run.
fn give_up_own(
    exchange: &mut Exchange,
    client: &mut ClientState,
    target: &Target,
) -> Result<Option<Due>, Refusal> {
    if !matches!(target, Target::Unnamed(_)) {
        return Ok(None);
    }
    match client.statements.own_text().deallocates().map(<[u8]>::to_vec) {
        Some(name) => give_up(exchange, client, &name).map(Some),
        None => Ok(None),
    }
}

/// Forgets a name of the client's, and prepares a statement for the server to deallocate in its place. What is
/// due afterwards knows how to take that back.
fn give_up(exchange: &mut Exchange, client: &mut ClientState, name: &[u8]) -> Result<Due, Refusal> {
    exchange.up.stage(|out| {
        write::close(out, STATEMENT, SACRIFICE)?;
        write::parse(out, SACRIFICE, b"", &[])
    })?;
    exchange.ledger.expect(Due::of(Request::Close, Origin::Replay));
    exchange.ledger.expect(Due::of(Request::Parse, Origin::Replay));
    exchange.deallocates_for_client = true;
    let statement = client.statements.named(name).cloned();
    client.statements.remove(name);
    let client_name = statement.is_some().then(|| name.into());
    Ok(Due { statement, client_name, ..Due::of(Request::Close, Origin::Local) })
}

fn names_incomplete(exchange: &Exchange, header: Header) -> Result<Step, Refusal> {
    let arrived = exchange.up.unread().len();
    if arrived >= header.len || arrived > NAMES_BYTES_MAX {
        return Err(Refusal::protocol("a Bind message without its two names"));
    }
    Ok(Step::NeedMore)
}

/// The lengths of the two strings that a Bind message begins with.
fn two_names(head: &[u8]) -> Option<(usize, usize)> {
    let portal_len = head.iter().position(|byte| *byte == 0)?;
    let name_len = head[portal_len + 1..].iter().position(|byte| *byte == 0)?;
    Some((portal_len, name_len))
}
