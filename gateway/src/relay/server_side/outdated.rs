//! Statements that are prepared on the server and have grown out of date there.
//!
//! The schema has changed under them, or somebody has deallocated them behind our back. The server says so
//! when they are bound or described. They are prepared anew for whoever needs them next; and when the
//! client cannot tell the difference, its request is made again at once.

use super::settled::undo;
use crate::pool::Lease;
use crate::relay::exchange::{ClientState, Exchange};
use crate::relay::ledger::{Origin, Request, Settled};
use crate::relay::prepared::{Complaint, Standing};
use pgwire::backend::ErrorFields;
use pgwire::frame::{HEADER_LEN, Header, peek_header};
use pgwire::frontend::write;

/// Longer messages are not waited for: two of them fit the buffer.
const LOOK_BEHIND_MAX: usize = 4 * 1024;

/// What is to be done with the description of a statement's parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Described {
    /// It is an answer like any other.
    Answer,
    /// What comes behind it has not arrived.
    Unclear,
    /// The request is being made again: it and the error behind it are nobody's business.
    Healed {
        /// How long the error is.
        error_len: usize,
    },
}

/// The server describes a statement's parameters before it finds that it cannot describe its rows, so a look
/// is taken at what comes behind.
pub(super) fn heal_described(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    described: Header,
) -> Described {
    if !exchange.recorded.may_repeat(true) || described.len > LOOK_BEHIND_MAX {
        return Described::Answer;
    }
    let Some(behind) = exchange.down.unread().get(described.len..) else { return Described::Unclear };
    match peek_header(behind) {
        Ok(None) => Described::Unclear,
        Ok(Some(error)) if error.tag == b'E' && error.len <= LOOK_BEHIND_MAX => {
            let Some(body) = behind.get(HEADER_LEN..error.len) else { return Described::Unclear };
            match Complaint::of(&ErrorFields::new(body)) {
                Some(complaint) if heal(exchange, client, lease, complaint) => {
                    Described::Healed { error_len: error.len }
                }
                _ => Described::Answer,
            }
        }
        Ok(Some(_)) | Err(_) => Described::Answer,
    }
}

/// Acts on an error that is about to be forwarded. `true`: the request is being made again, and the error is
/// nobody's business.
pub(super) fn heal(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    complaint: Complaint,
) -> bool {
    if !outdate(exchange, lease, complaint) {
        return false;
    }
    // Rows of another shape would be misread by a client that was told their shape before.
    let may_repeat = exchange.recorded.may_repeat(complaint != Complaint::Gone)
        && exchange.up.is_written()
        && exchange.up.at_boundary()
        && exchange.up.unread().is_empty();
    if may_repeat {
        repeat(exchange, client, lease);
        exchange.suspects_schema = complaint == Complaint::Unfit;
    }
    may_repeat
}

/// A reply is the client's. Where the request had to be made again, it tells whether that has helped: then the schema
/// has changed, and what others have prepared may be out of date too.
pub(super) fn answered(exchange: &mut Exchange, lease: &Lease, tag: u8) {
    if !exchange.suspects_schema {
        return;
    }
    match tag {
        b'2' | b'T' | b'n' => lease.pool().statements().schema_changed(),
        b'E' | b'Z' => {}
        _ => return,
    }
    exchange.suspects_schema = false;
}

/// The statement that the error is about is not to be relied upon. `false`: the error is about something else.
fn outdate(exchange: &Exchange, lease: &mut Lease, complaint: Complaint) -> bool {
    let Some(due) = exchange.ledger.next_of_server() else { return false };
    let names_it = matches!(due.request, Request::Bind | Request::Describe) && due.client_name.is_none();
    let Some(statement) = due.statement.as_ref().filter(|_| names_it) else { return false };
    match lease.server().statements.outdate(statement) {
        Standing::Old => {}
        // It was prepared for this very request: nothing would change.
        Standing::New | Standing::Missing => return false,
    }
    if complaint == Complaint::Changed {
        lease.pool().statements().schema_changed();
    }
    true
}

fn repeat(exchange: &mut Exchange, client: &mut ClientState, lease: &mut Lease) {
    let mut settled = Settled::default();
    let sync_is_missing = exchange.ledger.disown_request(&mut settled);
    for due in settled.failed.into_iter().rev() {
        undo(exchange, client, lease, due);
    }
    let Exchange { up, recorded, .. } = exchange;
    up.preload(recorded.repeat());
    if sync_is_missing {
        up.stage(write::sync);
        exchange.ledger.expect_sync(Origin::Replay);
    }
    lease.pool().statements().process().healed.inc();
}
