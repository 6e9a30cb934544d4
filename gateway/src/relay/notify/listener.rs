//! The connection that listens for all clients of a pool.
//!
//! It was a client's, whose LISTEN it has carried out, and listens on. It is asked for one thing at a time; what else
//! is wanted meanwhile is asked for next, all together. When its last client has gone it is made as good as new and
//! goes back to the pool; when anything about it is in doubt it is closed, and every client is told.

use super::board::{Board, Question};
use super::lost::Lost;
use crate::pool::Lease;
use crate::relay::pin::PinReason;
use crate::relay::reset;
use pgwire::WriteError;
use pgwire::backend;
use pgwire::frame::{HEADER_LEN, peek_header};
use pgwire::frontend::write;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until};

/// A LISTEN takes the server one round trip.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// A payload is shorter than 8,000 bytes (<https://www.postgresql.org/docs/current/sql-notify.html>), and nothing
/// else that the server says here is long.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Whatever the client had set must not end the connection, or write what is for others in an encoding of its own.
/// Behind the first LISTEN, so that whoever looks at the server's sessions sees what this one is for.
const SETTINGS: &str = "reset all; set client_encoding = 'UTF8'; set idle_session_timeout = 0; \
    set application_name = 'tenantry listener'";

/// The encoding of what it hears.
pub const ENCODING: &str = "UTF8";

/// Why it ended.
#[derive(Debug, thiserror::Error)]
enum ListenError {
    #[error("the server closed the connection, or cannot be reached")]
    Lost(#[from] io::Error),
    #[error("the server did not answer in time")]
    Silent,
    #[error("the server said what was not to be expected: {0}")]
    Unexpected(&'static str),
    #[error(transparent)]
    Unwritable(#[from] WriteError),
}

struct Listener {
    lease: Lease,
    board: Arc<Board>,
    inbound: Vec<u8>,
    under_way: Option<(Question, Instant)>,
    has_settings: bool,
}

/// Listens until nobody is left to listen for.
pub async fn run(mut lease: Lease, board: Arc<Board>) {
    if let Some(server) = lease.server().listed() {
        server.used_by(0);
        server.pinned(Some(PinReason::Listen));
    }
    let mut listener = Listener { lease, board, inbound: Vec::new(), under_way: None, has_settings: false };
    match listener.listen().await {
        Ok(()) => listener.retire().await,
        Err(error) => {
            tracing::warn!(%error, "a listening connection has ended; its clients are sent away");
            listener.board.close(Lost::Listener);
        }
    }
}

impl Listener {
    async fn listen(&mut self) -> Result<(), ListenError> {
        loop {
            if self.under_way.is_none() {
                if self.board.is_closed() {
                    return Ok(());
                }
                if let Some(question) = self.board.question() {
                    self.ask(question).await?;
                }
            }
            let mut stream = self.lease.server().stream();
            let deadline = self.under_way.as_ref().map(|(_, deadline)| *deadline);
            tokio::select! {
                biased;
                read = stream.read_buf(&mut self.inbound) => {
                    if read? == 0 {
                        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                    }
                    self.take_in()?;
                }
                () = self.board.changed(), if deadline.is_none() => {}
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    return Err(ListenError::Silent);
                }
            }
        }
    }

    async fn ask(&mut self, question: Question) -> Result<(), ListenError> {
        let mut text = Vec::new();
        question.listen.iter().for_each(|name| write_command(&mut text, "listen", name));
        question.unlisten.iter().for_each(|name| write_command(&mut text, "unlisten", name));
        if !self.has_settings {
            self.has_settings = true;
            text.extend_from_slice(SETTINGS.as_bytes());
        }
        // An empty query will do for those who only wait: the server says first what was notified before it.
        let mut message = Vec::new();
        write::query(&mut message, &text)?;
        let deadline = Instant::now() + ANSWER_MAX;
        self.under_way = Some((question, deadline));
        let server = self.lease.server();
        let sent = async {
            server.stream().write_all(&message).await?;
            server.stream().flush().await
        };
        tokio::time::timeout_at(deadline, sent).await.map_err(|_elapsed| ListenError::Silent)??;
        Ok(())
    }

    /// Deals with all whole messages that have arrived.
    fn take_in(&mut self) -> Result<(), ListenError> {
        let mut from = 0;
        let malformed = || ListenError::Unexpected("a malformed message");
        while let Some(header) = peek_header(&self.inbound[from..]).map_err(|_malformed| malformed())? {
            if header.len > MESSAGE_BYTES_MAX {
                return Err(ListenError::Unexpected("a message too large"));
            }
            let Some(message) = self.inbound.get(from..from + header.len) else { break };
            match header.tag {
                b'A' => self.board.dispatch(channel_of(message).ok_or_else(malformed)?, message),
                b'Z' => match self.under_way.take() {
                    Some((question, _)) => self.board.answered(question),
                    None => return Err(ListenError::Unexpected("ready, unasked")),
                },
                b'E' => return Err(ListenError::Unexpected("an error")),
                // Its next client is greeted with what is known of it.
                b'S' => {
                    let (name, value) = backend::parameter_status(&message[HEADER_LEN..])
                        .map_err(|_malformed| malformed())?;
                    let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
                    self.lease.server().report_parameter(&name, &value);
                }
                // Completed commands, notices.
                _ => {}
            }
            from += header.len;
        }
        self.inbound.drain(..from);
        Ok(())
    }

    /// Gives the connection back, once it is as good as new.
    async fn retire(mut self) {
        if !self.inbound.is_empty() {
            return;
        }
        match reset::discard_all(self.lease.server()).await {
            Ok(()) => self.lease.release(),
            Err(error) => {
                tracing::info!(%error, "a connection that listened could not be reset; it is closed");
            }
        }
    }
}

/// The channel of a NotificationResponse: behind the process that notified.
#[must_use]
pub fn channel_of(message: &[u8]) -> Option<&[u8]> {
    let behind = message.get(HEADER_LEN + 4..)?;
    behind.split(|byte| *byte == 0).next().filter(|name| name.len() < behind.len())
}

fn write_command(text: &mut Vec<u8>, command: &str, channel: &[u8]) {
    text.extend_from_slice(command.as_bytes());
    text.extend_from_slice(b" \"");
    for byte in channel {
        text.push(*byte);
        if *byte == b'"' {
            text.push(b'"');
        }
    }
    text.extend_from_slice(b"\"; ");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_channel_stands_between_process_and_payload() {
        assert_eq!(channel_of(b"A\0\0\0\x0f\0\0\0\x01news\0x\0"), Some(&b"news"[..]));
        assert_eq!(channel_of(b"A\0\0\0\x0a\0\0\0\x01"), None);
        assert_eq!(channel_of(b"A\0\0\0\x0c\0\0\0\x01news"), None);
    }

    #[test]
    fn a_name_is_quoted_whatever_is_in_it() {
        let mut text = Vec::new();
        write_command(&mut text, "listen", b"a\"; drop table b --");
        assert_eq!(text, b"listen \"a\"\"; drop table b --\"; ");
    }
}
