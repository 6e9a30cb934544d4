//! Requests that are answered without a server.
//!
//! Some need none. Others cannot get one: they are answered with an error, and everything that the
//! client has sent along with them is thrown away, so that no part of a pipeline ever runs without the
//! part before it. The client stays connected.

use super::buffer::{BUFFER_BYTES, Flow};
use super::exchange::{ClientState, Exchange};
use crate::error::Refusal;
use crate::listen::wire::write_refusal;
use pgwire::Severity;
use pgwire::backend::{TransactionStatus, write};
use tenancy::ErrorKind;

/// What the client's next message asks for.
pub enum First {
    /// It was read far enough to tell what it needs.
    Needs(Need),
    /// The client says goodbye.
    Goodbye,
    /// It has not arrived.
    Incomplete,
}

/// What a message needs.
pub enum Need {
    /// A server.
    Connection,
    /// A ReadyForQuery: a Sync with nothing before it.
    Ready,
    /// Nothing: the server would ignore it as well.
    Nothing,
}

/// Looks at the client's next message while it has no connection. One that needs none is consumed.
///
/// # Errors
/// The client broke the protocol.
pub fn first_request(up: &mut Flow, client: &ClientState) -> Result<First, Refusal> {
    if !up.continue_message() {
        return Ok(First::Incomplete);
    }
    let Some(header) = up.next_header(client.bounds.message_bytes_max)? else { return Ok(First::Incomplete) };
    // No connection for a client that is slow to say what it wants.
    if up.unread().len() < header.len.min(BUFFER_BYTES) {
        return Ok(First::Incomplete);
    }
    Ok(match header.tag {
        b'X' => First::Goodbye,
        b'S' => {
            up.discard(header.len);
            First::Needs(Need::Ready)
        }
        // The server ignores COPY data outside a COPY: the client may still be sending when one has failed.
        b'H' | b'd' | b'c' | b'f' => {
            up.discard(header.len);
            First::Needs(Need::Nothing)
        }
        _ => First::Needs(Need::Connection),
    })
}

/// What a client is told that calls a function by the message for it, which large objects are used with.
#[must_use]
pub fn function_call() -> Refusal {
    Refusal::new(ErrorKind::Unsupported, "the function call message is not offered in transaction mode").hint(
        "call the function in SQL, as lo_get() and lo_put() for large objects, or use pool_mode=session",
    )
}

/// A request being refused, message by message.
pub struct Refusing<'r> {
    refusal: &'r Refusal,
    told: bool,
}

impl<'r> Refusing<'r> {
    /// Nothing said yet.
    #[must_use]
    pub fn new(refusal: &'r Refusal) -> Self {
        Self { refusal, told: false }
    }

    /// Throws away what has arrived of the request. `true`: all of it, and the client is told.
    ///
    /// # Errors
    /// The client broke the protocol.
    pub fn advance(&mut self, exchange: &mut Exchange, client: &ClientState) -> Result<bool, Refusal> {
        while exchange.up.continue_message() {
            let Some(header) = exchange.up.next_header(client.bounds.message_bytes_max)? else {
                return Ok(false);
            };
            if !self.told {
                self.told = true;
                exchange.down.stage(|out| write_refusal(out, self.refusal, Severity::Error));
            }
            exchange.up.discard(header.len);
            // A simple query or a function call is a request of its own; anything else ends with Sync.
            if matches!(header.tag, b'Q' | b'F' | b'S') {
                exchange.down.stage(|out| write::ready_for_query(out, TransactionStatus::Idle));
                return Ok(true);
            }
        }
        Ok(false)
    }
}
