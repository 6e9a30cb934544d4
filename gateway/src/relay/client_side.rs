//! What a client sends: what the server will owe for it, and which names must be rewritten.

use super::exchange::{ClientState, Exchange};
use super::ledger::{Due, Origin, Request};
use super::prepared::{NAME_PREFIX, NO_STATEMENT, Statement};
use super::{effects, effects::Effects};
use crate::error::Refusal;
use crate::pool::Lease;
use pgwire::frame::{HEADER_LEN, Header, peek_header};
use pgwire::frontend;
use pgwire::frontend::write;
use std::sync::Arc;
use tenancy::ErrorKind;

/// A simple query up to this size is read whole before it is sent, so that its effects are known. The
/// connection of a larger one is closed after use.
const QUERY_READ_WHOLE_MAX: usize = 1024 * 1024;

/// Describe, Close, Execute and the head of Bind hold names only; no real name comes near this.
const NAMES_BYTES_MAX: usize = 8 * 1024;

/// How far the client's bytes were dealt with.
pub enum Absorbed {
    /// As far as they can be for now.
    All,
    /// The client has said goodbye.
    Goodbye,
}

enum Step {
    Next,
    NeedMore,
    Goodbye,
}

/// Deals with everything that the client has sent.
///
/// # Errors
/// The client broke the protocol or one of its bounds; nothing of the offending message was forwarded.
pub fn absorb(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
) -> Result<Absorbed, Refusal> {
    while exchange.up.continue_message() {
        let Some(header) = next_header(exchange, client)? else { return Ok(Absorbed::All) };
        if must_wait(exchange, header, lease) {
            return Ok(Absorbed::All);
        }
        match absorb_message(exchange, client, lease, header)? {
            Step::Next => exchange.has_begun = true,
            Step::NeedMore => return Ok(Absorbed::All),
            Step::Goodbye => return Ok(Absorbed::Goodbye),
        }
    }
    Ok(Absorbed::All)
}

fn next_header(exchange: &Exchange, client: &ClientState) -> Result<Option<Header>, Refusal> {
    let header = peek_header(exchange.up.unread()).map_err(|error| Refusal::protocol(error.to_string()))?;
    match header {
        Some(header) if header.len > client.bounds.message_bytes_max => Err(Refusal::new(
            ErrorKind::TooLarge,
            format!(
                "a message of {} bytes is larger than the {} allowed",
                header.len, client.bounds.message_bytes_max
            ),
        )),
        header => Ok(header),
    }
}

/// While others wait for a connection, a client that sends its requests ahead gets its turns one by
/// one: the next request waits until the connection could have been given away. COPY data belongs to the
/// request under way.
fn must_wait(exchange: &Exchange, header: Header, lease: &Lease) -> bool {
    !matches!(header.tag, b'd' | b'c' | b'f') && lease.pool().waiting() > 0 && exchange.ledger.awaits_ready()
}

fn absorb_message(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    header: Header,
) -> Result<Step, Refusal> {
    match header.tag {
        b'Q' => Ok(query(exchange, header)),
        b'P' => parse(exchange, client, lease, header),
        b'B' => bind(exchange, client, lease, header),
        b'D' | b'C' => describe_or_close(exchange, client, lease, header),
        b'E' => Ok(forward(exchange, header, Due::to_client(Request::Execute))),
        b'F' => Ok(forward(exchange, header, Due::to_client(Request::FunctionCall))),
        b'S' => {
            exchange.ledger.expect_sync(Origin::Client);
            exchange.up.forward(header.len);
            Ok(Step::Next)
        }
        b'c' | b'f' => {
            exchange.ledger.copy_ended();
            exchange.up.forward(header.len);
            Ok(Step::Next)
        }
        b'd' | b'H' => {
            exchange.up.forward(header.len);
            Ok(Step::Next)
        }
        // What came before it is still carried out.
        b'X' if exchange.ledger.is_empty() => Ok(Step::Goodbye),
        b'X' => Ok(Step::NeedMore),
        other => Err(Refusal::protocol(format!("invalid frontend message type {other}"))),
    }
}

fn forward(exchange: &mut Exchange, header: Header, due: Due) -> Step {
    exchange.ledger.expect(due);
    exchange.up.forward(header.len);
    Step::Next
}

/// The message's body, once all of it has arrived.
fn whole_body(exchange: &mut Exchange, header: Header) -> Option<&[u8]> {
    if exchange.up.unread().len() < header.len {
        if exchange.up.is_written() {
            exchange.up.reserve(header.len);
        }
        return None;
    }
    Some(&exchange.up.unread()[HEADER_LEN..header.len])
}

fn query(exchange: &mut Exchange, header: Header) -> Step {
    let effects = if header.len > QUERY_READ_WHOLE_MAX {
        Effects::UNKNOWN
    } else {
        match whole_body(exchange, header) {
            Some(text) => effects::of_sql(text),
            None => return Step::NeedMore,
        }
    };
    // The server forgets the unnamed statement when it gets a simple query.
    exchange.unnamed_on_server = false;
    forward(exchange, header, Due { effects, ..Due::to_client(Request::Query) })
}

fn parse(
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

fn bind(
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
    let target = target_of(exchange, client, name);
    if target.is_uncertain(exchange, name) {
        return Ok(Step::NeedMore);
    }
    let effects = target.effects(client);
    let head_len = HEADER_LEN + portal_len + 1 + name_len + 1;
    let rest_len = header.len - head_len;
    let server_name = prepare_target(exchange, client, lease, &target)?;
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

fn describe_or_close(
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
    let target = target_of(exchange, client, &name);
    if target.is_uncertain(exchange, &name) {
        return Ok(Step::NeedMore);
    }
    let server_name = prepare_target(exchange, client, lease, &target)?;
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

/// A named statement is only forgotten: other clients of the pool may use the one on the server.
fn close_statement(
    exchange: &mut Exchange,
    client: &mut ClientState,
    header: Header,
    name: Box<[u8]>,
) -> Step {
    let statement = client.statements.named(&name).cloned();
    client.statements.remove(&name);
    if statement.is_none() {
        return forward(exchange, header, Due::to_client(Request::Close));
    }
    let due = Due { statement, client_name: Some(name), ..Due::of(Request::Close, Origin::Local) };
    exchange.ledger.expect(due);
    exchange.up.discard(header.len);
    Step::Next
}

/// What a client means by a statement's name.
enum Target {
    /// A statement that it prepared by Parse.
    Known(Arc<Statement>),
    /// Its unnamed statement; `true` if the connection lacks it.
    Unnamed(bool),
    /// Nothing of the kind, and the name must not reach one of ours.
    Nothing,
    /// A name that only the server can know: one prepared in SQL.
    Foreign,
}

impl Target {
    fn effects(&self, client: &ClientState) -> Effects {
        match self {
            Self::Known(statement) => statement.effects(),
            Self::Unnamed(_) => client.statements.unnamed().effects(),
            Self::Nothing | Self::Foreign => Effects::NONE,
        }
    }

    /// The message has to wait: an earlier request prepares what it names, and may fail yet.
    fn is_uncertain(&self, exchange: &Exchange, name: &[u8]) -> bool {
        matches!(self, Self::Known(statement) if exchange.ledger.is_uncertain(statement, name))
    }
}

fn target_of(exchange: &Exchange, client: &ClientState, name: &[u8]) -> Target {
    if name.is_empty() {
        if client.statements.unnamed().is_present() {
            Target::Unnamed(!exchange.unnamed_on_server)
        } else {
            Target::Nothing
        }
    } else if let Some(statement) = client.statements.named(name) {
        Target::Known(Arc::clone(statement))
    } else if name.starts_with(NAME_PREFIX.as_bytes()) {
        Target::Nothing
    } else {
        Target::Foreign
    }
}

/// Makes sure that the connection has the statement. Returns the name to use in place of the client's.
fn prepare_target<'t>(
    exchange: &mut Exchange,
    client: &ClientState,
    lease: &mut Lease,
    target: &'t Target,
) -> Result<Option<&'t [u8]>, Refusal> {
    Ok(match target {
        Target::Known(statement) => {
            ensure_prepared(exchange, lease, statement)?;
            Some(statement.server_name())
        }
        Target::Unnamed(missing) => {
            if *missing {
                exchange.up.stage(|out| write::parse_raw(out, b"", client.statements.unnamed().body()))?;
                exchange.ledger.expect(Due::of(Request::Parse, Origin::Replay));
                exchange.unnamed_on_server = true;
            }
            None
        }
        Target::Nothing => Some(NO_STATEMENT),
        Target::Foreign => None,
    })
}

fn ensure_prepared(
    exchange: &mut Exchange,
    lease: &mut Lease,
    statement: &Arc<Statement>,
) -> Result<(), Refusal> {
    if !lease.server().statements.has(statement) {
        stage_parse(exchange, lease, statement)?;
        let due = Due { statement: Some(Arc::clone(statement)), ..Due::of(Request::Parse, Origin::Replay) };
        exchange.ledger.expect(due);
    }
    Ok(())
}

/// Sends a Parse of ours; the caller notes who gets its reply.
fn stage_parse(
    exchange: &mut Exchange,
    lease: &mut Lease,
    statement: &Arc<Statement>,
) -> Result<(), Refusal> {
    if let Some(crowded_out) = lease.server().statements.add(statement) {
        exchange.up.stage(|out| write::close(out, b'S', crowded_out.server_name()))?;
        let due = Due { statement: Some(crowded_out), ..Due::of(Request::Close, Origin::Replay) };
        exchange.ledger.expect(due);
    }
    exchange.up.stage(|out| write::parse_raw(out, statement.server_name(), statement.body()))?;
    Ok(())
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
