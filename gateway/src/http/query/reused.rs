//! A statement that has come before: the connection has it by a name of ours, or gets it, and parses and plans it once.
//!
//! What the server has may have grown out of date. It says so when the statement is bound, before anything has run and
//! anything was answered: the request is then made again as it is without.

use super::super::script::{Script, Single};
use crate::pool::Lease;
use crate::relay::ledger::{Due, Origin, Request};
use crate::relay::prepared::{Complaint, Statement, Text, meaning, on_server};
use pgwire::WriteError;
use pgwire::backend::ErrorFields;
use pgwire::frontend::write;
use std::sync::Arc;

/// A request whose statement has a name of ours.
pub(super) struct Reused {
    statement: Arc<Statement>,
    /// The request as it is without.
    plain: Script,
    /// It was prepared before, and has not been bound yet: an error may tell that it is out of date.
    is_doubtful: bool,
    complaint: Option<Complaint>,
}

/// The statement that a script may use in place of its own text.
pub(super) fn statement(lease: &mut Lease, script: &Script) -> Option<Arc<Statement>> {
    let Single { text, .. } = script.single()?;
    let settings = Arc::clone(&lease.server().settings);
    let context = meaning::by_names(&settings);
    on_server::returning(lease, Text { body: text, context: context.as_deref() })
}

impl Reused {
    /// Writes the script with the statement's name in place of its text.
    ///
    /// # Errors
    /// More than fits a message.
    pub(super) fn write(
        statement: Arc<Statement>,
        script: Script,
        lease: &mut Lease,
        out: &mut Vec<u8>,
        mut expect: impl FnMut(Due),
    ) -> Result<Self, WriteError> {
        let pool = Arc::clone(lease.pool());
        lease.server().statements.request_begins();
        let is_there = lease.server().statements.has_current(&statement, pool.statements().schema());
        if is_there {
            pool.statements().process().hits.inc();
        } else {
            on_server::write_parse(lease, &statement, out, &mut expect)?;
            let statement = Some(Arc::clone(&statement));
            expect(Due { statement, ..Due::of(Request::Parse, Origin::Replay) });
        }
        if let Some(Single { values, rest, .. }) = script.single() {
            write::bind_head(out, b"", statement.server_name(), values.len())?;
            out.extend_from_slice(values);
            out.extend_from_slice(rest);
        }
        // Its own Parse is not sent.
        script.due().skip(1).for_each(expect);
        Ok(Self { statement, plain: script, is_doubtful: is_there, complaint: None })
    }

    /// The statement is bound: whatever comes now is the answer.
    pub(super) fn bound(&mut self) {
        self.is_doubtful = false;
    }

    /// The server refuses the request.
    pub(super) fn refused(&mut self, error: &ErrorFields<'_>) {
        if self.is_doubtful {
            self.complaint = Complaint::of(error);
        }
    }

    /// What to ask in its place, and why, if the server's statement may be out of date.
    pub(super) fn give_up(self, lease: &mut Lease) -> Option<(Script, Complaint)> {
        let complaint = self.complaint?;
        lease.server().statements.outdate(&self.statement);
        lease.pool().statements().process().healed.inc();
        Some((self.plain, complaint))
    }
}

/// The server has thrown this away: what was noted of the connection's statements when it was sent is not so.
pub(super) fn take_back(lease: &mut Lease, due: Due) {
    let statements = &mut lease.server().statements;
    match due {
        Due { evicted: Some(evicted), .. } => statements.restore(*evicted),
        Due { request: Request::Parse, statement: Some(statement), .. } => statements.remove(&statement),
        _ => {}
    }
}
