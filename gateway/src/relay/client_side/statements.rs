//! Messages about prepared statements: Parse, Bind, Describe and Close.
//!
//! The client's names stay with us; the server knows a statement by the name that its text has in the
//! pool. Everything else in these messages is forwarded as it came.

use super::target::{Target, ensure_prepared, stage_parse};
use super::{Step, forward, whole_body};
use crate::error::Refusal;
use crate::pool::Lease;
use crate::relay::exchange::{ClientState, Exchange};
use crate::relay::ledger::{Due, Origin, Request};
use crate::relay::prepared::{NAME_PREFIX, Statement};
use pgwire::frame::{HEADER_LEN, Header};
use pgwire::frontend::{self, write};
use std::sync::Arc;
use tenancy::ErrorKind;

/// Describe, Close and the head of Bind hold names only; no real name comes near this.
const NAMES_BYTES_MAX: usize = 8 * 1024;

pub(super) fn parse(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    header: Header,
) -> Result<Step, Refusal> {
    if header.len > client.bounds.prepared_bytes_max {
        return Err(too_many_statements(client));
    }
    if whole_body(exchange, header).is_none() {
        return Ok(Step::NeedMore);
    }
    let body = &exchange.up.unread()[HEADER_LEN..header.len];
    let name_len = name_len(body)?;
    let (name, text) = (&body[..name_len], &body[name_len + 1..]);
    if name.is_empty() {
        client.statements.set_unnamed(text);
        exchange.unnamed_on_server = true;
        let due = Due { client_name: Some(Box::default()), ..Due::to_client(Request::Parse) };
        return Ok(forward(exchange, header, due));
    }
    if let Some(existing) = client.statements.named(name).cloned() {
        if exchange.ledger.is_uncertain(&existing, name) {
            return Ok(Step::NeedMore);
        }
        return parse_again(exchange, lease, header, name_len, &existing);
    }
    let statement = lease.pool().statements().intern(text);
    if exchange.ledger.is_uncertain(&statement, name) {
        return Ok(Step::NeedMore);
    }
    let client_name: Box<[u8]> = name.into();
    client
        .statements
        .insert(&client_name, Arc::clone(&statement), client.bounds.prepared_bytes_max)
        .map_err(|_full| too_many_statements(client))?;
    let known = lease.server().statements.has(&statement);
    if known {
        exchange
            .ledger
            .expect(Due { client_name: Some(client_name), ..Due::of(Request::Parse, Origin::Local) });
    } else {
        stage_parse(exchange, lease, &statement)?;
        exchange.ledger.expect(Due {
            client_name: Some(client_name),
            statement: Some(statement),
            ..Due::to_client(Request::Parse)
        });
    }
    exchange.up.discard(header.len);
    Ok(Step::Next)
}

/// The client uses a name twice, which is an error that the server must raise, because it ends the
/// transaction: it is sent the name that it already has.
fn parse_again(
    exchange: &mut Exchange,
    lease: &mut Lease,
    header: Header,
    name_len: usize,
    existing: &Arc<Statement>,
) -> Result<Step, Refusal> {
    ensure_prepared(exchange, lease, existing)?;
    exchange.up.stage_from_unread(|unread, out| {
        write::parse_raw(out, existing.server_name(), &unread[HEADER_LEN + name_len + 1..header.len])
    })?;
    exchange.ledger.expect(Due::to_client(Request::Parse));
    exchange.up.discard(header.len);
    Ok(Step::Next)
}

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
    exchange.note_discard(effects);
    let head_len = HEADER_LEN + portal_len + 1 + name_len + 1;
    let rest_len = header.len - head_len;
    let server_name = target.prepare(exchange, client, lease)?;
    exchange.ledger.expect(Due { effects, ..Due::to_client(Request::Bind) });
    match server_name {
        None => exchange.up.forward(header.len),
        Some(server_name) => {
            exchange.up.stage_from_unread(|unread, out| {
                let portal = &unread[HEADER_LEN..HEADER_LEN + portal_len];
                write::bind_head(out, portal, server_name, rest_len)
            })?;
            exchange.up.forward_tail(head_len, header.len);
        }
    }
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
    let name: Box<[u8]> = view.name.into();
    let request = if header.tag == b'D' { Request::Describe } else { Request::Close };
    if view.kind != b'S' {
        return Ok(forward(exchange, header, Due::to_client(request)));
    }
    if request == Request::Close {
        return Ok(close_statement(exchange, client, header, name));
    }
    let target = Target::of(exchange, client, &name);
    if target.is_uncertain(exchange, &name) {
        return Ok(Step::NeedMore);
    }
    let server_name = target.prepare(exchange, client, lease)?;
    exchange.ledger.expect(Due::to_client(Request::Describe));
    match server_name {
        None => exchange.up.forward(header.len),
        Some(server_name) => {
            exchange.up.stage(|out| write::describe(out, b'S', server_name))?;
            exchange.up.discard(header.len);
        }
    }
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

fn name_len(body: &[u8]) -> Result<usize, Refusal> {
    body.iter().position(|byte| *byte == 0).ok_or_else(|| Refusal::protocol("a name without its end"))
}

fn too_many_statements(client: &ClientState) -> Refusal {
    Refusal::new(
        ErrorKind::TooLarge,
        format!("prepared statements would take more than {} bytes", client.bounds.prepared_bytes_max),
    )
    .hint("close statements that are no longer used, or send large values as parameters")
}
