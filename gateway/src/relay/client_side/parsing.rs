//! Parse: which statement a client means from now on by a name, or by none.

use super::target::{ensure_prepared, prepare_for};
use super::{Step, forward, listening_refused, refuse, whole_body};
use crate::error::Refusal;
use crate::pool::Lease;
use crate::relay::effects;
use crate::relay::exchange::{ClientState, Exchange};
use crate::relay::ledger::{Due, Request};
use crate::relay::prepared::{SACRIFICE, Statement, Text, Unnamed, meaning, on_server, reading};
use crate::relay::sql_lexer;
use pgwire::backend::TransactionStatus;
use pgwire::frame::{HEADER_LEN, Header};
use pgwire::frontend::write;
use std::sync::Arc;
use tenancy::ErrorKind;

pub(super) fn parse(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    header: Header,
) -> Result<Step, Refusal> {
    if header.len > client.bounds.prepared_bytes_max {
        return Err(too_many_statements(client));
    }
    let Some(body) = whole_body(exchange, header) else { return Ok(Step::NeedMore) };
    let name_len =
        body.iter().position(|byte| *byte == 0).ok_or_else(|| Refusal::protocol("a name without its end"))?;
    if let Some(refusal) = refused(client, &body[name_len + 1..]) {
        if name_len == 0 {
            client.statements.remove(b"");
        }
        return refuse(exchange, header, Request::Parse, refusal);
    }
    if name_len == 0 {
        parse_unnamed(exchange, client, lease, header)
    } else {
        parse_named(exchange, client, lease, header, name_len)
    }
}

/// Why a statement of this text is not prepared, if it is not. Few are read for it: by the protocol a text is one
/// statement, and what LISTEN begins with few others do.
fn refused(client: &ClientState, text: &[u8]) -> Option<Refusal> {
    let policy = client.bounds.policy;
    if !could_listen(text) && !policy.refuses_something() {
        return None;
    }
    let effects = effects::of_sql(text);
    policy.refusal(effects).or_else(|| listening_refused(client, effects))
}

/// What PostgreSQL takes for a space may stand before it, a comment or nothing at all.
fn could_listen(text: &[u8]) -> bool {
    let first = text.iter().find(|byte| !sql_lexer::is_blank(**byte));
    matches!(first, Some(b'l' | b'L' | b'-' | b'/' | b';'))
}

/// A statement with a name. It becomes one that all clients of the pool share who have the same text.
fn parse_named(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    header: Header,
    name_len: usize,
) -> Result<Step, Refusal> {
    let body = &exchange.up.unread()[HEADER_LEN..header.len];
    let (name, rest) = (&body[..name_len], &body[name_len + 1..]);
    if let Some(existing) = client.statements.named(name).cloned() {
        if exchange.ledger.is_uncertain(&existing, name) {
            return Ok(Step::NeedMore);
        }
        return parse_again(exchange, client, lease, header, name_len, &existing);
    }
    let statements = lease.pool().statements();
    // What is under way may change settings, or what names mean; nobody knows yet.
    let own = names_are_its_own(exchange, client) || exchange.ledger.awaits_ready();
    let meaning = meaning::of_text(&client.settings, Text { body: rest, context: None }.query());
    let statement = match meaning.filter(|_| !own) {
        Some(context) => {
            let text = Text { body: rest, context: context.as_deref() };
            statements.intern(text, statements.hash(text))
        }
        None => statements.unshared(Text { body: rest, context: None }),
    };
    let statement = statement.ok_or_else(|| too_many_texts(lease))?;
    if exchange.ledger.is_uncertain(&statement, name) {
        return Ok(Step::NeedMore);
    }
    let client_name: Box<[u8]> = name.into();
    client
        .statements
        .insert(&client_name, Arc::clone(&statement), client.bounds.prepared_bytes_max)
        .map_err(|_full| too_many_statements(client))?;
    if is_certain(exchange) || !lease.server().statements.has(&statement) {
        prepare_for(exchange, lease, statement, client_name)?;
    } else {
        // Only the server knows whether it would take a Parse now: it gets one that changes nothing else.
        exchange.up.stage(|out| write::parse_raw(out, b"", statement.body()))?;
        exchange.unnamed_on_server = false;
        exchange.ledger.expect(Due { client_name: Some(client_name), ..Due::to_client(Request::Parse) });
    }
    exchange.up.discard(header.len);
    Ok(Step::Next)
}

/// The client uses a name twice, which is an error that the server must raise, because it ends the
/// transaction: it is sent the name that it already has.
fn parse_again(
    exchange: &mut Exchange,
    client: &ClientState,
    lease: &mut Lease,
    header: Header,
    name_len: usize,
    existing: &Arc<Statement>,
) -> Result<Step, Refusal> {
    ensure_prepared(exchange, client, lease, existing)?;
    exchange.up.stage_from_unread(|unread, out| {
        write::parse_raw(out, existing.server_name(), &unread[HEADER_LEN + name_len + 1..header.len])
    })?;
    exchange.ledger.expect(Due::to_client(Request::Parse));
    exchange.up.discard(header.len);
    Ok(Step::Next)
}

/// A statement without a name. One that comes again gets a name of ours, and is parsed once a connection.
fn parse_unnamed(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    header: Header,
) -> Result<Step, Refusal> {
    let rest = &exchange.up.unread()[HEADER_LEN + 1..header.len];
    if let Some(statement) = shared(exchange, client, lease, rest) {
        client.statements.share_unnamed(Arc::clone(&statement));
        // An empty name takes no memory.
        prepare_for(exchange, lease, statement, Box::default())?;
        exchange.up.discard(header.len);
        return Ok(Step::Next);
    }
    let gives_up = given_up_by(client, rest);
    let due = Due { client_name: Some(Box::default()), ..Due::to_client(Request::Parse) };
    exchange.unnamed_on_server = true;
    let Some(name) = gives_up else {
        client.statements.own_unnamed(rest, None);
        return Ok(forward(exchange, header, due));
    };
    let instead = deallocation();
    client.statements.own_unnamed(&instead, Some(name));
    exchange.up.stage(|out| write::parse_raw(out, b"", &instead))?;
    exchange.ledger.expect(due);
    exchange.up.discard(header.len);
    Ok(Step::Next)
}

/// The statement with a name of ours that an unnamed one may be taken for.
fn shared(
    exchange: &Exchange,
    client: &ClientState,
    lease: &mut Lease,
    body: &[u8],
) -> Option<Arc<Statement>> {
    if !is_certain(exchange) || names_are_its_own(exchange, client) {
        return None;
    }
    let context = meaning::by_names(&client.settings);
    let text = Text { body, context: context.as_deref() };
    if let Unnamed::Shared(statement) = client.statements.unnamed()
        && statement.text() == text
    {
        lease.pool().statements().touch(statement);
        return Some(Arc::clone(statement));
    }
    on_server::returning(lease, text)
}

/// Can it be told without the server that it would take a Parse? Not in a failed transaction, and not while a
/// request is under way that may fail one.
fn is_certain(exchange: &Exchange) -> bool {
    exchange.status != TransactionStatus::Failed && !exchange.ledger.awaits_ready()
}

/// May names mean something to this client now that they do not mean to others: those of its temporary
/// tables, or of a search path that it has set?
fn names_are_its_own(exchange: &Exchange, client: &ClientState) -> bool {
    exchange.names_changed || client.pin.is_some()
}

/// The name of the client's that an unnamed statement deallocates.
fn given_up_by(client: &ClientState, body: &[u8]) -> Option<Box<[u8]>> {
    if !client.statements.has_named() || !body.trim_ascii_start().first().is_some_and(is_d) {
        return None;
    }
    let name = reading::deallocated_name(Text { body, context: None }.query())?;
    client.statements.named(&name).is_some().then(|| name.into_boxed_slice())
}

pub(super) fn is_d(byte: &u8) -> bool {
    byte.eq_ignore_ascii_case(&b'd')
}

/// A Parse message's body after its name: deallocates the statement that we prepare for it.
fn deallocation() -> Vec<u8> {
    let mut body = deallocation_query();
    // The query's end, and no parameter types.
    body.extend_from_slice(&[0, 0, 0]);
    body
}

pub(super) fn deallocation_query() -> Vec<u8> {
    [b"deallocate \"", SACRIFICE, b"\""].concat()
}

fn too_many_statements(client: &ClientState) -> Refusal {
    Refusal::new(
        ErrorKind::TooLarge,
        format!("prepared statements would take more than {} bytes", client.bounds.prepared_bytes_max),
    )
    .hint("close statements that are no longer used, or send large values as parameters")
}

fn too_many_texts(lease: &Lease) -> Refusal {
    let settings = lease.pool().statements().process().settings();
    Refusal::new(
        ErrorKind::TooLarge,
        format!(
            "the prepared statements of all clients would take more than {} bytes",
            settings.bytes_per_pool_max.min(settings.bytes_max)
        ),
    )
    .hint("close statements that are no longer used, or send large values as parameters")
}
