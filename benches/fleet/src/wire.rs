//! The lightest client that says what a driver says: one socket, two buffers that stay, no task of its own.
//!
//! It understands no more than where an answer ends and whether it was an error. It must never be what is measured:
//! see the README for its cost beside a driver's.

mod login;
mod statement;

pub(crate) use login::{Keyring, login};

use pgwire::backend::ErrorFields;
use pgwire::frame::{HEADER_LEN, peek_header};
use pgwire::frontend::write;
use pgwire::{SqlState, WriteError};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What `ReadyForQuery` says of a session outside a transaction.
const IDLE: u8 = b'I';

/// Buffers that one large answer has blown up do not stay so.
const INBOUND_KEPT: usize = 16 * 1024;

/// Why there was no answer, or not the one that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The server said so.
    Sql(SqlState),
    /// The connection could not be made, or ended.
    Io(io::ErrorKind),
    /// The server said what nobody asked for, or what makes no sense.
    Protocol(&'static str),
}

impl Failure {
    /// The SQLSTATE, or a word.
    pub(crate) fn code(&self) -> String {
        match self {
            Self::Sql(state) => state.as_str().to_owned(),
            Self::Io(kind) => kind.to_string().replace(' ', "-"),
            Self::Protocol(what) => (*what).to_owned(),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error.kind())
    }
}

impl From<WriteError> for Failure {
    fn from(_: WriteError) -> Self {
        Self::Protocol("message-does-not-fit")
    }
}

/// A connection that has logged in.
pub(crate) struct Wire {
    stream: TcpStream,
    inbound: Vec<u8>,
    outbound: Vec<u8>,
    /// Whether the statements of mode `prepared` are there.
    prepared: bool,
    status: u8,
}

impl Wire {
    fn new(stream: TcpStream) -> Self {
        Self { stream, inbound: Vec::new(), outbound: Vec::new(), prepared: false, status: IDLE }
    }

    /// Sends what is in the outbound buffer and reads to the end of the answer. An error in it is a failure; the
    /// connection is good for more all the same, unless [`Self::is_broken`].
    async fn exchange(&mut self) -> Result<(), Failure> {
        self.status = 0;
        self.stream.write_all(&self.outbound).await?;
        self.outbound.clear();
        self.inbound.clear();
        self.inbound.shrink_to(INBOUND_KEPT);
        let mut answer = Answer::default();
        loop {
            if self.stream.read_buf(&mut self.inbound).await? == 0 {
                // A server that hangs up has often said why.
                return Err(answer.error.map_or(Failure::Io(io::ErrorKind::UnexpectedEof), Failure::Sql));
            }
            answer.take(&self.inbound)?;
            if let Some(status) = answer.status {
                self.status = status;
                return answer.error.map_or(Ok(()), |error| Err(Failure::Sql(error)));
            }
        }
    }

    /// Can nothing more be asked here? After an answer that did not end.
    pub(crate) fn is_broken(&self) -> bool {
        self.status == 0
    }

    /// Says goodbye and hangs up. Nobody waits for an answer.
    pub(crate) async fn close(mut self) {
        self.outbound.clear();
        write::terminate(&mut self.outbound);
        let _ = self.stream.write_all(&self.outbound).await;
    }
}

/// How far an answer has been read.
#[derive(Default)]
struct Answer {
    at: usize,
    error: Option<SqlState>,
    status: Option<u8>,
}

impl Answer {
    fn take(&mut self, inbound: &[u8]) -> Result<(), Failure> {
        while let Some(rest) = inbound.get(self.at..) {
            let header = peek_header(rest).map_err(|_| Failure::Protocol("bad-length"))?;
            let Some((header, body)) = header.and_then(|header| Some((header, header.body(rest)?))) else {
                return Ok(());
            };
            match header.tag {
                b'E' => self.error = self.error.or(ErrorFields::new(body).sqlstate()),
                b'Z' => self.status = body.first().copied(),
                _ => {}
            }
            self.at += header.len.max(HEADER_LEN);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_with_ready_however_it_is_cut() {
        let mut bytes = Vec::new();
        pgwire::backend::write::command_complete(&mut bytes, b"SELECT 1");
        bytes.extend(b"E\0\0\0\x0dC53300\0\0\0");
        bytes.extend(b"Z\0\0\0\x05I");
        for cut in 0..bytes.len() {
            let mut answer = Answer::default();
            answer.take(&bytes[..cut]).unwrap();
            assert_eq!(answer.status, None, "cut at {cut}");
            answer.take(&bytes).unwrap();
            assert_eq!(answer.status, Some(b'I'));
            assert_eq!(answer.error.map(|code| code.as_str().to_owned()).as_deref(), Some("53300"));
        }
    }
}
