//! An operator's session: messages in, answers out, and the time between.

mod carry_out;

pub(super) use carry_out::parameter;

use super::Operator;
use super::command::Command;
use super::extended::Extended;
use super::failure::Failure;
use super::rows::{Column, Formats, Rows, Value, describe, write_row};
use super::statement;
use crate::cancel::CancelGuard;
use crate::shared::Shared;
use crate::stream::ClientStream;
use config::ConsoleRole;
use net::ClientAddress;
use pgwire::backend::{TransactionStatus, write};
use pgwire::frame::{Header, peek_header};
use pgwire::frontend::{self, tag};
use pgwire::{Severity, SqlState};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tracing::Instrument;

/// What `SHOW VERSION` says.
pub(super) const PRODUCT: &str = concat!("Tenantry ", env!("CARGO_PKG_VERSION"));

/// What drivers are told, in PgBouncer's form: it is no PostgreSQL's version.
pub(super) const SERVER_VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "/tenantry");

/// No command is nearly as long. A longer message ends the session before it is read.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// What is collected before it is sent.
const OUTBOUND_BYTES: usize = 16 * 1024;

/// How long an operator who does not read is waited for.
const WRITE_MAX: Duration = Duration::from_secs(30);

/// A session.
pub(super) struct Session {
    shared: Arc<Shared>,
    stream: ClientStream,
    inbound: Vec<u8>,
    pub(super) out: Vec<u8>,
    user: String,
    role: ConsoleRole,
    peer: ClientAddress,
    cancel: CancelGuard,
    /// Between BEGIN and its end.
    pub(super) in_block: bool,
    extended: Extended,
    _place: OwnedSemaphorePermit,
}

/// Why a session ends.
pub(super) enum End {
    /// The operator has left.
    Gone,
    /// The operator is told.
    Told(Failure),
}

/// Why a command was not carried out.
pub(super) enum Stop {
    /// The operator is told, and goes on.
    Failed(Failure),
    /// The session ends.
    End(End),
}

/// What a command answers.
pub(super) enum Answer {
    /// Rows.
    Table(&'static [Column], Rows),
    /// Only that it was done.
    Done(&'static str),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<End> for Stop {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// Serves an operator to the end.
pub async fn run(operator: Operator, shared: Arc<Shared>) {
    let Operator { wire, peer, user, role, place } = operator;
    let (stream, inbound, out) = wire.into_parts();
    // Without randomness there can be no cancel key, and no session.
    let Ok(cancel) = shared.cancels.register() else { return };
    let span = tracing::info_span!("console", user, %peer, role = role.as_str());
    let mut session = Session {
        shared,
        stream,
        inbound,
        out,
        user,
        role,
        peer,
        cancel,
        in_block: false,
        extended: Extended::default(),
        _place: place,
    };
    let serving = async {
        tracing::info!("an operator has logged in");
        if let Err(End::Told(failure)) = session.serve().await {
            failure.write(&mut session.out, Severity::Fatal);
            let _ = session.flush().await;
        }
        let _ = timeout(WRITE_MAX, session.stream.shutdown()).await;
    };
    serving.instrument(span).await;
}

impl Session {
    async fn serve(&mut self) -> Result<(), End> {
        self.greet();
        self.flush().await?;
        loop {
            let header = self.next_message().await?;
            let message: Vec<u8> = self.inbound.drain(..header.len).collect();
            self.answer(header.tag, header.body(&message).unwrap_or_default()).await?;
        }
    }

    fn greet(&mut self) {
        let is_admin = if self.role == ConsoleRole::Admin { "on" } else { "off" };
        let parameters = [
            ("server_version", SERVER_VERSION),
            ("client_encoding", "UTF8"),
            ("server_encoding", "UTF8"),
            ("DateStyle", "ISO"),
            ("TimeZone", "GMT"),
            ("integer_datetimes", "on"),
            ("standard_conforming_strings", "on"),
            ("is_superuser", is_admin),
            ("session_authorization", &self.user),
        ];
        write::authentication_ok(&mut self.out);
        for (name, value) in parameters {
            write::parameter_status(&mut self.out, name.as_bytes(), value.as_bytes());
        }
        write::backend_key_data(&mut self.out, self.cancel.key());
        self.ready();
    }

    pub(super) fn ready(&mut self) {
        let status = if self.in_block { TransactionStatus::InTransaction } else { TransactionStatus::Idle };
        write::ready_for_query(&mut self.out, status);
    }

    /// Waits until a whole message is there.
    async fn next_message(&mut self) -> Result<Header, End> {
        loop {
            let header = peek_header(&self.inbound).map_err(|error| protocol(error.to_string()))?;
            match header {
                Some(header) if header.len > MESSAGE_BYTES_MAX => {
                    let message =
                        format!("messages to the console are at most {MESSAGE_BYTES_MAX} bytes long");
                    return Err(End::Told(Failure::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)));
                }
                Some(header) if self.inbound.len() >= header.len => return Ok(header),
                _ => {}
            }
            let read =
                timeout(self.shared.config.console.idle_timeout(), self.stream.read_buf(&mut self.inbound));
            let read = tokio::select! {
                read = read => read,
                () = self.shared.drain.cancelled() => return Err(draining()),
            };
            match read {
                Ok(Ok(1..)) => {}
                Ok(Ok(0) | Err(_)) => return Err(End::Gone),
                Err(_elapsed) => {
                    let message = "terminating connection due to idle-session timeout";
                    return Err(End::Told(Failure::new(SqlState::IDLE_SESSION_TIMEOUT, message)));
                }
            }
        }
    }

    async fn answer(&mut self, tag: u8, body: &[u8]) -> Result<(), End> {
        match tag {
            tag::QUERY => self.simple_query(body).await,
            tag::TERMINATE => Err(End::Gone),
            tag::FUNCTION_CALL => {
                Failure::new(SqlState::FEATURE_NOT_SUPPORTED, "the console has no functions")
                    .write(&mut self.out, Severity::Error);
                self.ready();
                self.flush().await
            }
            // PostgreSQL ignores COPY data outside a COPY as well.
            tag::COPY_DATA | tag::COPY_DONE | tag::COPY_FAIL => Ok(()),
            tag::FLUSH => self.flush().await,
            tag::SYNC => {
                self.extended.sync();
                self.ready();
                self.flush().await
            }
            _ => self.extended_message(tag, body).await,
        }
    }

    /// One message of the extended protocol. After a failure all are skipped until Sync.
    async fn extended_message(&mut self, tag: u8, body: &[u8]) -> Result<(), End> {
        let mut extended = std::mem::take(&mut self.extended);
        let done = extended.message(self, tag, body).await;
        self.extended = extended;
        match done {
            Ok(()) => Ok(()),
            Err(Stop::Failed(failure)) => {
                failure.write(&mut self.out, Severity::Error);
                self.extended.skip_to_sync();
                Ok(())
            }
            Err(Stop::End(end)) => Err(end),
        }
    }

    async fn simple_query(&mut self, body: &[u8]) -> Result<(), End> {
        let text = frontend::query(body).map_err(|error| protocol(error.to_string()))?;
        match self.run_all(text).await {
            Ok(()) => {}
            Err(Stop::Failed(failure)) => failure.write(&mut self.out, Severity::Error),
            Err(Stop::End(end)) => return Err(end),
        }
        self.ready();
        self.flush().await
    }

    /// Carries out a text's statements in order, up to the first that fails.
    async fn run_all(&mut self, text: &[u8]) -> Result<(), Stop> {
        let statements = statement::split(utf8(text)?)?;
        if statements.is_empty() {
            write::empty_query_response(&mut self.out);
        }
        for statement in statements {
            let command = Command::parse(&statement)?;
            match self.carry_out(&command).await? {
                Answer::Done(tag) => write::command_complete(&mut self.out, tag.as_bytes()),
                Answer::Table(columns, rows) => {
                    describe(&mut self.out, columns, &Formats::default());
                    for row in rows {
                        self.row(columns, &Formats::default(), &row).await?;
                    }
                    write::command_complete(&mut self.out, b"SHOW");
                }
            }
        }
        Ok(())
    }

    /// Sends a row when enough of them have come together, so that a long table takes little memory.
    pub(super) async fn row(
        &mut self,
        columns: &[Column],
        formats: &Formats,
        row: &[Value],
    ) -> Result<(), End> {
        write_row(&mut self.out, columns, formats, row);
        if self.out.len() >= OUTBOUND_BYTES { self.flush().await } else { Ok(()) }
    }

    pub(super) async fn flush(&mut self) -> Result<(), End> {
        let stream = &mut self.stream;
        let out = std::mem::take(&mut self.out);
        let sent = async {
            stream.write_all(&out).await?;
            stream.flush().await
        };
        timeout(WRITE_MAX, sent).await.map_err(|_elapsed| End::Gone)??;
        Ok(())
    }
}

/// A text of the operator's.
pub(super) fn utf8(text: &[u8]) -> Result<&str, Failure> {
    std::str::from_utf8(text)
        .map_err(|_not| Failure::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, "commands must be UTF-8"))
}

/// The operator's driver broke the protocol.
pub(super) fn protocol(message: impl Into<String>) -> End {
    End::Told(Failure::new(SqlState::PROTOCOL_VIOLATION, message.into()))
}

fn draining() -> End {
    let message = "terminating connection: the gateway is shutting down";
    End::Told(Failure::new(SqlState::ADMIN_SHUTDOWN, message))
}
