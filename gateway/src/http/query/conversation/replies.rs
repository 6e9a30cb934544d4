//! What the server says, message by message.

use super::super::super::failure::ErrorBody;
use super::super::super::fault::Fault;
use super::super::super::results::Results;
use super::super::reused;
use super::Conversation;
use crate::admit::storage;
use crate::relay::effects::REPORTED;
use crate::relay::handover;
use crate::relay::ledger::{Origin, Settled, Verdict};
use crate::relay::prepared::reading;
use pgwire::backend::{self, ErrorFields, TransactionStatus};
use std::sync::Arc;

impl Conversation {
    pub(super) fn absorb(&mut self, tag: u8, body: &[u8], results: &mut Results) -> Result<(), Fault> {
        match tag {
            b'S' => return self.parameter(body),
            b'N' | b'A' => return Ok(()),
            b'G' | b'H' | b'W' => return Err(Fault::Copy),
            b'E' => self.lease.pool().usage().server_errors.inc(),
            b'Z' => self.ready(body)?,
            _ => {}
        }
        if tag == b'E' && self.ledger.is_empty() {
            // Nobody asked: the server is shutting down or the backend was terminated.
            self.unfit = true;
            return Ok(());
        }
        let is_answer = self.ledger.current_origin() == Some(Origin::Question);
        let mut settled = Settled::default();
        let verdict = self.ledger.settle(tag, &mut settled);
        // Last first, as each was noted on top of those before it.
        settled.failed.into_iter().rev().for_each(|due| reused::take_back(&mut self.lease, due));
        match (verdict, tag) {
            (Verdict::Forward, _) => self.forward(tag, body, results),
            // Settings that were accepted before are not accepted now: something else has changed.
            (Verdict::OutOfSync, _) => Err(Fault::OutOfSync),
            (Verdict::Swallow, b'E') if !is_answer => Err(Fault::OutOfSync),
            (Verdict::Swallow, b'D') if is_answer => {
                if let Some(asked) = self.asked {
                    handover::read_answer(self.lease.pool(), asked, body);
                }
                Ok(())
            }
            (Verdict::Swallow, _) => Ok(()),
        }
    }

    /// A reply that is the client's.
    fn forward(&mut self, tag: u8, body: &[u8], results: &mut Results) -> Result<(), Fault> {
        match tag {
            b'D' => results.row(backend::data_row(body)?)?,
            b'2' => self.bound(),
            b'T' => results.columns(backend::row_description(body)?)?,
            b'n' => results.no_columns()?,
            b'I' => {
                self.statement_ended();
                results.complete(b"")?;
            }
            b'C' => {
                self.statement_ended();
                let command = backend::command_complete(body)?;
                // Statements that the connection is thought to have may be gone.
                self.unfit |= command.starts_with(b"DISCARD") || command.starts_with(b"DEALLOCATE");
                self.changed_schema |= reading::changes_schema(command);
                results.complete(command)?;
            }
            b'E' if self.answer.is_none() => {
                let fields = ErrorFields::new(body);
                if let Some(reused) = &mut self.reused {
                    reused.refused(&fields);
                }
                let mut answer = ErrorBody::from_fields(&fields);
                let is_full = !self.only_reads && self.lease.server().began_with.is_read_only();
                if is_full && storage::is_about_read_only(fields.get(b'C')) {
                    let refusal = storage::refusal(&self.lease);
                    self.lease.pool().usage().refused(refusal.kind());
                    answer.say_instead(&refusal);
                }
                self.marks.take_out_of(&mut answer, self.ended);
                self.answer = Some(Box::new(answer));
            }
            // Execute asks for all rows.
            b's' => return Err(Fault::OutOfSync),
            _ => {}
        }
        Ok(())
    }

    fn bound(&mut self) {
        if let Some(reused) = &mut self.reused {
            reused.bound();
        }
        if std::mem::take(&mut self.suspects_schema) {
            // It has helped to make the request again: what others have prepared may be out of date too.
            self.lease.pool().statements().schema_changed();
        }
    }

    fn statement_ended(&mut self) {
        self.ended += 1;
        self.limit.statement_ended();
    }

    fn parameter(&mut self, body: &[u8]) -> Result<(), Fault> {
        let (name, value) = backend::parameter_status(body)?;
        let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
        let ours = self.ledger.current_origin().is_some_and(Origin::is_ours);
        let server = self.lease.server();
        server.report_parameter(&name, &value);
        if !ours && REPORTED.iter().any(|setting| *setting == name) {
            // A statement has changed it: the connection's next user is to set it back.
            server.settings = Arc::new(server.settings.with(&name, &value));
        }
        Ok(())
    }

    fn ready(&mut self, body: &[u8]) -> Result<(), Fault> {
        self.status = backend::ready_for_query(body)?;
        let for_client = !self.ledger.current_origin().is_some_and(Origin::is_ours);
        if for_client && self.status == TransactionStatus::Idle {
            self.lease.pool().usage().transactions.inc();
        }
        if self.status == TransactionStatus::Idle && std::mem::take(&mut self.changed_schema) {
            self.lease.pool().statements().schema_changed();
        }
        Ok(())
    }
}
