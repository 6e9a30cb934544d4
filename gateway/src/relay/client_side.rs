//! What a client sends: what the server will owe for it, and which names must be rewritten.

mod statements;
mod target;

use super::exchange::{ClientState, Exchange};
use super::ledger::{Due, Origin, Request};
use super::{effects, effects::Effects};
use crate::error::Refusal;
use crate::pool::Lease;
use pgwire::frame::{HEADER_LEN, Header, peek_header};
use tenancy::ErrorKind;

/// A simple query up to this size is read whole before it is sent, so that its effects are known. The
/// connection of a larger one is closed after use.
const QUERY_READ_WHOLE_MAX: usize = 1024 * 1024;

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
        b'P' => statements::parse(exchange, client, lease, header),
        b'B' => statements::bind(exchange, client, lease, header),
        b'D' | b'C' => statements::describe_or_close(exchange, client, lease, header),
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
