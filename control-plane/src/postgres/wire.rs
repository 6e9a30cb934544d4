//! PostgreSQL messages over a connection of our own, for what the driver of the admin sessions cannot do.

use super::error::PostgresError;
use super::transport::{Address, Stream, Transport};
use pgwire::WriteError;
use pgwire::backend::ErrorFields;
use pgwire::frame::{HEADER_LEN, peek_header};
use pgwire::scram::ChannelBinding;
use std::fmt::Display;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::error::SqlState;

/// We ask for little; a server that sends more than this in one message is none.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// A connection and what has come in over it. Dropping it closes the socket.
pub(super) struct Wire {
    stream: Box<dyn Stream>,
    binding: ChannelBinding,
    address: String,
    inbound: Vec<u8>,
}

impl Wire {
    /// Connects.
    pub(super) async fn connect(to: Address<'_>) -> Result<Self, PostgresError> {
        let Transport { stream, binding } = to.connect().await?;
        Ok(Self { stream, binding, address: to.to_string(), inbound: Vec::with_capacity(1024) })
    }

    /// What a login can be bound to.
    pub(super) fn binding(&self) -> &ChannelBinding {
        &self.binding
    }

    /// `host:port`, for messages.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Sends what `write` appends.
    pub(super) async fn send(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), WriteError>,
    ) -> Result<(), PostgresError> {
        let mut outbound = Vec::with_capacity(512);
        write(&mut outbound).map_err(|why| self.no_postgres(why))?;
        self.stream.write_all(&outbound).await.map_err(|_| self.lost())?;
        // TLS keeps records back until then.
        self.stream.flush().await.map_err(|_| self.lost())
    }

    /// The next message: its tag and body. One that reports an error is an error.
    pub(super) async fn message(&mut self) -> Result<(u8, Vec<u8>), PostgresError> {
        loop {
            if let Some(header) = peek_header(&self.inbound).map_err(|why| self.no_postgres(why))? {
                if header.len > MESSAGE_BYTES_MAX {
                    return Err(self.no_postgres("an oversized message"));
                }
                if self.inbound.len() >= header.len {
                    let message: Vec<u8> = self.inbound.drain(..header.len).collect();
                    return match (header.tag, message.get(HEADER_LEN..).unwrap_or_default()) {
                        (b'E', body) => Err(self.reported(body)),
                        (tag, body) => Ok((tag, body.to_vec())),
                    };
                }
            }
            if self.stream.read_buf(&mut self.inbound).await.map_err(|_| self.lost())? == 0 {
                return Err(self.lost());
            }
        }
    }

    /// What came is nothing that PostgreSQL would send.
    pub(super) fn no_postgres(&self, why: impl Display) -> PostgresError {
        let reason = format!("no answer that PostgreSQL would give: {why}");
        PostgresError::Unreachable { address: self.address.clone(), reason }
    }

    fn lost(&self) -> PostgresError {
        PostgresError::Lost { address: self.address.clone() }
    }

    fn reported(&self, body: &[u8]) -> PostgresError {
        let fields = ErrorFields::new(body);
        let read = |field| String::from_utf8_lossy(fields.get(field).unwrap_or_default()).into_owned();
        let (code, message) = (SqlState::from_code(&read(b'C')), read(b'M'));
        PostgresError::Reported { address: self.address.clone(), code, message }
    }
}
