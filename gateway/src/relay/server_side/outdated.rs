//! Statements that are prepared on the server and have grown out of date there.
//!
//! The schema has changed under them, or somebody has deallocated them behind our back. The server says so
//! when they are bound or described. They are prepared anew for whoever needs them next; and when the
//! client cannot tell the difference, its request is made again at once.

use super::undo;
use crate::pool::Lease;
use crate::relay::exchange::{ClientState, Exchange};
use crate::relay::ledger::{Origin, Request, Settled};
use crate::relay::prepared::Standing;
use pgwire::backend::ErrorFields;
use pgwire::frontend::write;

/// The function of PostgreSQL that refuses a plan whose result has changed, whatever the language of its words
/// (`src/backend/utils/cache/plancache.c`). Its SQLSTATE stands for much else.
const REVALIDATION: &[u8] = b"RevalidateCachedQuery";

/// What an error may say of the statement that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Complaint {
    /// The server does not have it.
    Gone,
    /// It cannot be planned any more, or returns something else.
    Changed,
}

impl Complaint {
    pub(super) fn of(fields: &ErrorFields<'_>) -> Option<Self> {
        match fields.get(b'C')? {
            b"26000" => Some(Self::Gone),
            b"0A000" => (fields.get(b'R') == Some(REVALIDATION)).then_some(Self::Changed),
            // A lack of privileges is not the statement's fault.
            b"42501" => None,
            // What it names has been dropped or altered, or the types of its parameters have.
            code if code.starts_with(b"42") || code == b"XX000" => Some(Self::Changed),
            _ => None,
        }
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
    let may_repeat = exchange.recorded.may_repeat(complaint == Complaint::Changed)
        && exchange.up.is_written()
        && exchange.up.at_boundary()
        && exchange.up.unread().is_empty();
    if may_repeat {
        repeat(exchange, client, lease);
    }
    may_repeat
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
