//! A statement by our name on a leased connection: which one a text stands for, and how the connection gets it.

use super::reading::{self, Constants};
use super::statement::{Statement, Text};
use crate::pool::Lease;
use crate::relay::ledger::{Due, Origin, Request};
use pgwire::WriteError;
use pgwire::frontend::{STATEMENT, write};
use std::sync::Arc;

/// Longer unnamed statements are not kept to be recognised.
pub const UNNAMED_BYTES_MAX: usize = 16 * 1024;

/// The statement with a name of ours that an unnamed one with this text may be taken for: one that has come before, and
/// means the same whoever prepares it.
#[must_use]
pub fn returning(lease: &mut Lease, text: Text<'_>) -> Option<Arc<Statement>> {
    let pool = Arc::clone(lease.pool());
    let statements = pool.statements();
    if !statements.process().settings().cache_unnamed || text.body.len() > UNNAMED_BYTES_MAX {
        return None;
    }
    let hash = statements.hash(text);
    let found = match lease.server().statements.find(text, hash) {
        Some(statement) => {
            statements.touch(&statement);
            statement
        }
        None => statements.returning(text, hash, || {
            reading::is_plain(text.query()) && reading::constants(text.query()) == Constants::Fixed
        })?,
    };
    // Somebody may have prepared it by a name, whatever it is.
    (found.is_plain() && found.means_the_same()).then_some(found)
}

/// Writes what a connection is sent that lacks a statement: what has to go for it, and a Parse. Who is answered for the
/// Parse is the caller's matter.
///
/// # Errors
/// More than fits a message.
pub fn write_parse(
    lease: &mut Lease,
    statement: &Arc<Statement>,
    out: &mut Vec<u8>,
    mut expect: impl FnMut(Due),
) -> Result<(), WriteError> {
    let pool = Arc::clone(lease.pool());
    let process = pool.statements().process();
    process.misses.inc();
    while let Some(evicted) = lease.server().statements.in_the_way_of(statement, process.settings()) {
        if !evicted.is(statement) {
            process.closed.inc();
        }
        write::close(out, STATEMENT, &evicted.server_name())?;
        expect(Due { evicted: Some(Box::new(evicted)), ..Due::of(Request::Close, Origin::Replay) });
    }
    lease.server().statements.add(statement, pool.statements().schema());
    write::parse_raw(out, statement.server_name(), statement.body())
}
