//! Running a script on a leased server connection and reading its results.
//!
//! Everything is written and read at once, so that neither side can wait for the other with full buffers.
//! The ledger of the relay holds every reply against what is due. The connection goes back to its pool only
//! when all replies have been read, no transaction is open and nothing stays behind in the session; in any
//! other case, and when the client leaves and this future is dropped, the lease is dropped, which cancels
//! what runs and closes the connection.

use super::failure::{ErrorBody, Failure};
use super::fault::{Fault, WriteFailure};
use super::results::Results;
use super::script::Script;
use crate::connect::ServerConnection;
use crate::error::Refusal;
use crate::metrics::GatewayUsage;
use crate::pool::Lease;
use crate::relay::effects::REPORTED;
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

/// What is read at once.
const READ_BYTES: usize = 16 * 1024;

/// Messages other than rows are small; larger ones are cut off at this or at the response's bound.
const MESSAGE_BYTES_MIN: usize = 1024 * 1024;

/// Runs a script and gives the response's body. `results` is empty and knows how to write each result.
///
/// # Errors
/// See [`Failure`].
pub async fn run(
    lease: Lease,
    script: &Script,
    mut results: Results,
    usage: &GatewayUsage,
) -> Result<Vec<u8>, Failure> {
    let mut conversation = Conversation::begin(lease, script, results.bytes_max())?;
    let outcome = conversation.exchange(&mut results).await;
    conversation.count_bytes();
    if let Err(fault) = outcome {
        if matches!(fault, Fault::OutOfSync) {
            usage.out_of_sync.inc();
        }
        // The conversation ends here, and with it the connection.
        return Err(fault.into_failure(conversation.answer, results.bytes_max()));
    }
    let answer = conversation.answer.take();
    if answer.is_some() && conversation.status == TransactionStatus::Failed {
        conversation.roll_back(&mut results).await;
    }
    conversation.end(script.leaves_nothing());
    match answer {
        Some(answer) => Err(Failure::Server(answer)),
        None => Ok(results.finish()),
    }
}

struct Conversation {
    lease: Lease,
    outbound: Vec<u8>,
    written: usize,
    inbound: BytesMut,
    read: u64,
    ledger: Ledger,
    status: TransactionStatus,
    message_bytes_max: usize,
    /// The first error that the server answered.
    answer: Option<Box<ErrorBody>>,
    /// What the database was asked ahead of the script.
    asked: Option<Asked>,
    /// The connection is not to be used again.
    unfit: bool,
}

impl Conversation {
    /// Puts the session's settings back to those of a fresh one, ahead of the script.
    fn begin(mut lease: Lease, script: &Script, bytes_max: usize) -> Result<Self, Failure> {
        let (mut ledger, mut outbound) = (Ledger::default(), Vec::new());
        let pool = Arc::clone(lease.pool());
        let expect = |due| ledger.expect(due);
        let asked = handover::write_to(lease.server(), &pool, NOBODY, &mut outbound, expect)
            .map_err(|_unfit| Refusal::new(ErrorKind::Internal, "the session could not be set up"))?;
        lease.server().traces.note(script.effects(), pool.database().facts());
        if let Some(wanted) = settings_to_set(lease.server()) {
            let server = lease.server();
            settings::write_steps(server, &wanted, &mut outbound, |request| {
                ledger.expect(Due::of(request, Origin::Setup));
            })
            .map_err(|_unfit| Refusal::new(ErrorKind::Internal, "the session could not be set up"))?;
            server.settings = Arc::new(wanted);
            server.settings_uncertain = false;
        }
        outbound.extend_from_slice(script.messages());
        script.due().for_each(|due| ledger.expect(due));
        Ok(Self {
            lease,
            outbound,
            written: 0,
            inbound: BytesMut::new(),
            read: 0,
            ledger,
            status: TransactionStatus::Idle,
            message_bytes_max: bytes_max.max(MESSAGE_BYTES_MIN),
            answer: None,
            asked,
            unfit: false,
        })
    }

    /// Writes what there is to write and reads all replies that are due.
    async fn exchange(&mut self, results: &mut Results) -> Result<(), Fault> {
        loop {
            while let Some(header) = self.next_message()? {
                let message = self.inbound.split_to(header.len);
                self.absorb(header.tag, &message[HEADER_LEN..], results)?;
            }
            if self.ledger.is_empty() {
                return Ok(());
            }
            self.move_bytes().await?;
        }
    }

    /// The header of the next message, if all of it is there.
    fn next_message(&mut self) -> Result<Option<Header>, Fault> {
        let header = peek_header(&self.inbound).map_err(|_malformed| Fault::OutOfSync)?;
        let missing = header.map_or(0, |header| header.len.saturating_sub(self.inbound.len()));
        match header {
            Some(header) if header.len > self.message_bytes_max => Err(Fault::Result(WriteFailure::TooLarge)),
            Some(header) if missing == 0 => Ok(Some(header)),
            _ => {
                self.inbound.reserve(missing.max(READ_BYTES));
                Ok(None)
            }
        }
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
            b'I' => results.complete(b"")?,
            b'C' => {
                let command = backend::command_complete(body)?;
                // Statements that the connection is thought to have may be gone.
                self.unfit |= command.starts_with(b"DISCARD") || command.starts_with(b"DEALLOCATE");
                results.complete(command)?;
            }
            b'E' if self.answer.is_none() => {
                self.answer = Some(Box::new(ErrorBody::from_fields(&ErrorFields::new(body))));
            }
            // Execute asks for all rows.
            b's' => return Err(Fault::OutOfSync),
            _ => {}
        }
        Ok(())
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

    /// Ends the transaction of a failed batch, so that the connection can be kept.
    async fn roll_back(&mut self, results: &mut Results) {
        let script = Script::rollback();
        self.outbound.clear();
        self.outbound.extend_from_slice(script.messages());
        self.written = 0;
        script.due().for_each(|due| self.ledger.expect(due));
        self.unfit |= self.exchange(results).await.is_err();
        self.count_bytes();
    }

    fn count_bytes(&mut self) {
        let usage = self.lease.pool().usage();
        usage.bytes_to_server.add(u64::try_from(self.written).unwrap_or(u64::MAX));
        usage.bytes_to_client.add(std::mem::take(&mut self.read));
    }

    /// Gives the connection back if it is idle, in sync and clean; else it is closed.
    fn end(mut self, leaves_nothing: bool) {
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

/// What to set on a session before a statement of ours; `None` when it is as a fresh one is. JSON is
/// UTF-8, whatever the database's own encoding.
fn settings_to_set(server: &ServerConnection) -> Option<Settings> {
    let is_utf8 = |(name, value): &(Box<str>, Box<str>)| &**name == "client_encoding" && &**value == "UTF8";
    let fresh = server.settings.is_empty() && !server.settings_uncertain;
    if fresh && server.parameters.iter().any(is_utf8) {
        return None;
    }
    Some(Settings::new([("client_encoding".to_owned(), "UTF8".to_owned())]))
}
