//! The exchange with one server connection.
//!
//! Everything is written and read at once, so that neither side can wait for the other with full buffers.
//! The ledger of the relay holds every reply against what is due. The connection goes back to its pool only
//! when all replies have been read, no transaction is open and nothing stays behind in the session; in any
//! other case, and when this is dropped, the lease is dropped, which cancels what runs and closes the connection.

use super::super::failure::{ErrorBody, Failure};
use super::super::fault::{Fault, WriteFailure};
use super::super::results::{Bounds, Results};
use super::super::script::{Marks, Script};
use super::super::time_limit::TimeLimit;
use crate::admit::storage;
use crate::connect::ServerConnection;
use crate::error::Refusal;
use crate::pool::Lease;
use crate::relay::effects::{Effects, REPORTED};
use crate::relay::handover::database::Asked;
use crate::relay::handover::{self, NOBODY};
use crate::relay::ledger::{Due, Ledger, Origin, Settled, Verdict};
use crate::relay::settings::{self, Settings};
use bytes::{Buf, BytesMut};
use pgwire::backend::{self, ErrorFields, TransactionStatus};
use pgwire::frame::{HEADER_LEN, Header, peek_header};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tenancy::ErrorKind;
use tokio::io::{AsyncReadExt, AsyncWrite};

/// What is read at once: most results are small.
const READ_BYTES: usize = 16 * 1024;

/// What is read at once of a result that is not.
const READ_BYTES_MORE: usize = 64 * 1024;

/// Messages other than rows are small: what is larger than this is an error or a notice that somebody has made so.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

const CLIENT_ENCODING: &str = "client_encoding";
const APPLICATION_NAME: &str = "application_name";

/// How far an exchange has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// There is as much of the result as was asked for, and more to come.
    Full,
    /// All replies have been read.
    Ended,
}

pub(super) struct Conversation {
    lease: Lease,
    outbound: Vec<u8>,
    written: usize,
    /// How much of that was counted.
    counted: usize,
    inbound: BytesMut,
    read_bytes: usize,
    read: u64,
    ledger: Ledger,
    status: TransactionStatus,
    limit: TimeLimit,
    marks: Marks,
    /// Statements of the client that have ended: its number is that of the one that is due.
    ended: u64,
    /// The first error that the server answered.
    pub(super) answer: Option<Box<ErrorBody>>,
    /// What the database was asked ahead of the script.
    asked: Option<Asked>,
    /// The request itself wishes that nothing is written.
    only_reads: bool,
    /// The connection is not to be used again.
    unfit: bool,
}

impl Conversation {
    /// Puts the session's settings to those of the request, ahead of the script.
    pub(super) fn begin(
        mut lease: Lease,
        script: Script,
        application_name: Option<&str>,
        limit: TimeLimit,
    ) -> Result<Self, Failure> {
        let (mut ledger, mut outbound) = (Ledger::default(), Vec::new());
        let pool = Arc::clone(lease.pool());
        let expect = |due| ledger.expect(due);
        let asked = handover::write_to(lease.server(), &pool, NOBODY, &mut outbound, expect)
            .map_err(|_unfit| Refusal::new(ErrorKind::Internal, "the session could not be set up"))?;
        let only_reads = script.effects().any_of(Effects::ONLY_READS);
        lease.server().traces.note(script.effects(), pool.database().facts());
        if let Some(wanted) = settings_to_set(lease.server(), application_name) {
            let server = lease.server();
            settings::write_steps(server, &wanted, &mut outbound, |request| {
                ledger.expect(Due::of(request, Origin::Setup));
            })
            .map_err(|_unfit| Refusal::new(ErrorKind::Internal, "the session could not be set up"))?;
            server.settings = Arc::new(wanted);
            server.settings_uncertain = false;
        }
        script.due().for_each(|due| ledger.expect(due));
        let (messages, marks) = script.into_parts();
        if outbound.is_empty() {
            outbound = messages;
        } else {
            outbound.extend_from_slice(&messages);
        }
        Ok(Self {
            lease,
            outbound,
            written: 0,
            counted: 0,
            inbound: BytesMut::new(),
            read_bytes: READ_BYTES,
            read: 0,
            ledger,
            status: TransactionStatus::Idle,
            limit,
            marks,
            ended: 0,
            answer: None,
            asked,
            only_reads,
            unfit: false,
        })
    }

    /// Writes what there is to write, and reads replies until there is so much of the result or no reply is due.
    pub(super) async fn exchange(&mut self, results: &mut Results, bytes: usize) -> Result<Progress, Fault> {
        loop {
            let mut inbound = std::mem::take(&mut self.inbound);
            let is_full = self.absorb_all(&mut inbound, results, bytes);
            self.inbound = inbound;
            if is_full? {
                self.read_bytes = READ_BYTES_MORE;
                return Ok(Progress::Full);
            }
            if self.ledger.is_empty() {
                return Ok(Progress::Ended);
            }
            self.move_bytes().await?;
        }
    }

    /// Takes in the messages that are there. `true`: it has stopped because there is enough of the result.
    fn absorb_all(
        &mut self,
        inbound: &mut BytesMut,
        results: &mut Results,
        bytes: usize,
    ) -> Result<bool, Fault> {
        let mut at = 0;
        let is_full = loop {
            let Some(header) = Self::next_message(&inbound[at..], results)? else { break false };
            let message = &inbound[at..at + header.len];
            self.absorb(header.tag, &message[HEADER_LEN..], results)?;
            at += header.len;
            // The end of a result is not sent before that of its transaction is known.
            if results.len() >= bytes && !matches!(header.tag, b'C' | b'I') {
                break true;
            }
        };
        inbound.advance(at);
        let missing = peek_header(inbound).ok().flatten().map_or(0, |header| header.len);
        inbound.reserve(missing.saturating_sub(inbound.len()).max(self.read_bytes));
        Ok(is_full)
    }

    /// The header of the next message, if all of it is there.
    fn next_message(bytes: &[u8], results: &Results) -> Result<Option<Header>, Fault> {
        let Some(header) = peek_header(bytes).map_err(|_malformed| Fault::OutOfSync)? else {
            return Ok(None);
        };
        match header.tag {
            b'D' => check_row(header.len, results.bounds())?,
            _ if header.len > MESSAGE_BYTES_MAX => {
                return Err(Fault::MessageTooLarge { bytes_max: MESSAGE_BYTES_MAX });
            }
            _ => {}
        }
        Ok((header.len <= bytes.len()).then_some(header))
    }

    /// Moves what can be moved, in either direction, and waits only when that is nothing.
    async fn move_bytes(&mut self) -> Result<(), Fault> {
        poll_fn(|cx| {
            let sent = self.poll_send(cx);
            match self.poll_receive(cx) {
                Poll::Pending if sent => Poll::Ready(Ok(())),
                received => received,
            }
        })
        .await
    }

    /// Sends what the server takes. Says whether that was anything.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> bool {
        let written_before = self.written;
        let mut stream = self.lease.server().stream();
        while self.written < self.outbound.len() {
            match stream.as_mut().poll_write(cx, &self.outbound[self.written..]) {
                Poll::Ready(Ok(written @ 1..)) => self.written += written,
                Poll::Ready(Ok(0) | Err(_)) => {
                    // Its last words, if any, are still to be read.
                    self.written = self.outbound.len();
                    self.unfit = true;
                }
                Poll::Pending => break,
            }
        }
        // An encrypted stream may have kept some of it back.
        if let Poll::Ready(Err(_broken)) = stream.poll_flush(cx) {
            self.unfit = true;
        }
        self.written > written_before
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let mut stream = self.lease.server().stream();
        let read = pin!(stream.read_buf(&mut self.inbound)).poll(cx);
        match ready!(read) {
            Ok(0) | Err(_) => {
                if !self.ledger.is_empty() {
                    self.lease.server().left_at_work();
                }
                Poll::Ready(Err(Fault::Lost))
            }
            Ok(read) => {
                self.read += u64::try_from(read).unwrap_or(u64::MAX);
                Poll::Ready(Ok(()))
            }
        }
    }

    fn absorb(&mut self, tag: u8, body: &[u8], results: &mut Results) -> Result<(), Fault> {
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
        match (self.ledger.settle(tag, &mut Settled::default()), tag) {
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
                results.complete(command)?;
            }
            b'E' if self.answer.is_none() => {
                let fields = ErrorFields::new(body);
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
        Ok(())
    }

    /// Ends the transaction of a failed batch, if it is open, so that the connection can be kept.
    pub(super) async fn roll_back(&mut self, results: &mut Results) {
        if self.status != TransactionStatus::Failed {
            return;
        }
        let script = Script::rollback();
        self.outbound.clear();
        (self.written, self.counted) = (0, 0);
        script.due().for_each(|due| self.ledger.expect(due));
        self.outbound.extend_from_slice(&script.into_parts().0);
        self.unfit |= self.exchange(results, usize::MAX).await.is_err();
        self.count_bytes();
    }

    pub(super) fn count_bytes(&mut self) {
        let usage = self.lease.pool().usage();
        usage
            .bytes_to_server
            .add(u64::try_from(self.written.saturating_sub(self.counted)).unwrap_or(u64::MAX));
        self.counted = self.written;
        usage.bytes_to_client.add(std::mem::take(&mut self.read));
    }

    /// Gives the connection back if it is idle, in sync and clean; else it is closed.
    pub(super) fn end(mut self, leaves_nothing: bool) {
        let pool = Arc::clone(self.lease.pool());
        self.unfit |= handover::transaction_ended(self.lease.server(), &pool);
        self.unfit |= !self.lease.server().is_readable();
        let idle = self.status == TransactionStatus::Idle && self.ledger.is_empty();
        let in_sync = self.written == self.outbound.len() && !self.inbound.has_remaining();
        if idle && in_sync && leaves_nothing && !self.unfit {
            self.lease.release();
        }
    }
}

/// How a row is written is bounded where that is done.
fn check_row(len: usize, bounds: Bounds) -> Result<(), Fault> {
    let Bounds { bytes_max, row_bytes_max } = bounds;
    if len > bytes_max.max(MESSAGE_BYTES_MAX) {
        return Err(Fault::Result(WriteFailure::TooLarge));
    }
    let bytes_max = row_bytes_max.max(MESSAGE_BYTES_MAX);
    if len > bytes_max { Err(Fault::RowTooLarge { bytes_max }) } else { Ok(()) }
}

/// What to set on a session before a statement of ours; `None` when it is as wanted. JSON is UTF-8, whatever the
/// database's own encoding.
fn settings_to_set(server: &ServerConnection, application_name: Option<&str>) -> Option<Settings> {
    let is_utf8 = |(name, value): &(Box<str>, Box<str>)| &**name == CLIENT_ENCODING && &**value == "UTF8";
    let is_by_default =
        server.settings.get(CLIENT_ENCODING).is_none() && server.parameters.iter().any(is_utf8);
    let encoding = (!is_by_default).then(|| (CLIENT_ENCODING.to_owned(), "UTF8".to_owned()));
    let name = application_name.map(|name| (APPLICATION_NAME.to_owned(), name.to_owned()));
    let wanted = Settings::new(encoding.into_iter().chain(name));
    let is_set = !server.settings_uncertain && server.settings.steps_to(&wanted, true).next().is_none();
    (!is_set).then_some(wanted)
}
