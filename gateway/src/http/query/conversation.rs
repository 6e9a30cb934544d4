//! The exchange with one server connection.
//!
//! Everything is written and read at once, so that neither side can wait for the other with full buffers.
//! The ledger of the relay holds every reply against what is due. The connection goes back to its pool only
//! when all replies have been read, no transaction is open and nothing stays behind in the session; in any
//! other case, and when this is dropped, the lease is dropped, which cancels what runs and closes the connection.

mod moving;
mod replies;

use super::super::failure::{ErrorBody, Failure};
use super::super::fault::{Fault, WriteFailure};
use super::super::results::{Bounds, Results};
use super::super::script::{Marks, Script};
use super::super::time_limit::TimeLimit;
use super::reused::{self, Reused};
use crate::connect::ServerConnection;
use crate::error::Refusal;
use crate::pool::Lease;
use crate::relay::effects::Effects;
use crate::relay::handover::database::Asked;
use crate::relay::handover::{self, NOBODY};
use crate::relay::ledger::{Due, Ledger, Origin};
use crate::relay::prepared::Complaint;
use crate::relay::settings::{self, Settings};
use bytes::{Buf, BytesMut};
use pgwire::backend::TransactionStatus;
use pgwire::frame::{HEADER_LEN, Header, peek_header};
use std::sync::Arc;
use tenancy::ErrorKind;

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
    /// The script's statement has a name of ours.
    reused: Option<Reused>,
    /// The request is made again, as the schema may have changed unseen.
    suspects_schema: bool,
    /// A statement has run after which others may mean something else.
    changed_schema: bool,
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
        let (marks, reused) = write_script(script, &mut lease, &mut outbound, &mut ledger)?;
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
            reused,
            suspects_schema: false,
            changed_schema: false,
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
            if self.ledger.is_empty() && !self.makes_again() {
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

    /// The server's statement was out of date, and nothing has come of the request but that: it is made again without.
    fn makes_again(&mut self) -> bool {
        let given_up = self.reused.take().and_then(|reused| reused.give_up(&mut self.lease));
        let can_go_on = self.status == TransactionStatus::Idle && !self.unfit;
        let Some((script, complaint)) = given_up.filter(|_| can_go_on) else { return false };
        match complaint {
            Complaint::Gone => {}
            Complaint::Changed => self.lease.pool().statements().schema_changed(),
            Complaint::Unfit => self.suspects_schema = true,
        }
        self.send(script);
        self.answer = None;
        true
    }

    /// Another script, when the one before has been answered.
    fn send(&mut self, script: Script) {
        self.count_bytes();
        script.due().for_each(|due| self.ledger.expect(due));
        (self.outbound, self.marks) = script.into_parts();
        (self.written, self.counted) = (0, 0);
    }

    /// Ends the transaction of a failed batch, if it is open, so that the connection can be kept.
    pub(super) async fn roll_back(&mut self, results: &mut Results) {
        if self.status != TransactionStatus::Failed {
            return;
        }
        self.send(Script::rollback());
        self.unfit |= self.exchange(results, usize::MAX).await.is_err();
        self.count_bytes();
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

/// Writes a script's messages, with a name of ours in place of a text that has come before.
fn write_script(
    script: Script,
    lease: &mut Lease,
    outbound: &mut Vec<u8>,
    ledger: &mut Ledger,
) -> Result<(Marks, Option<Reused>), Failure> {
    if let Some(statement) = reused::statement(lease, &script) {
        let written = Reused::write(statement, script, lease, outbound, |due| ledger.expect(due));
        let reused = written.map_err(|error| Refusal::new(ErrorKind::TooLarge, error.to_string()))?;
        return Ok((Marks::default(), Some(reused)));
    }
    script.due().for_each(|due| ledger.expect(due));
    let (messages, marks) = script.into_parts();
    if outbound.is_empty() {
        *outbound = messages;
    } else {
        outbound.extend_from_slice(&messages);
    }
    Ok((marks, None))
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
