//! A request of our own on a connection that is idle and nobody's.

use crate::connect::ServerConnection;
use pgwire::backend::{self, TransactionStatus};
use pgwire::{WriteError, frame};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Such a request is one round trip on an idle connection.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// The answers are small; a server that sends more than this has something else in mind.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Why it was not carried out. But for [`OwnRequestError::Refused`] the connection must be closed.
#[derive(Debug, thiserror::Error)]
pub enum OwnRequestError {
    /// The server answered with an error, and is ready for the next request.
    #[error("the server refused: {0}")]
    Refused(String),
    /// It has no answer, or one that makes no sense.
    #[error("the server connection was lost")]
    Lost,
    /// What was to be sent does not fit the protocol.
    #[error(transparent)]
    Unwritable(#[from] WriteError),
}

impl From<std::io::Error> for OwnRequestError {
    fn from(_: std::io::Error) -> Self {
        Self::Lost
    }
}

/// Sends messages that end with one ReadyForQuery, and reads up to that. What the server reports of its
/// parameters is noted.
///
/// # Errors
/// See [`OwnRequestError`].
pub async fn run(server: &mut ServerConnection, messages: &[u8]) -> Result<(), OwnRequestError> {
    tokio::time::timeout(ANSWER_MAX, exchange(server, messages)).await.unwrap_or(Err(OwnRequestError::Lost))
}

async fn exchange(server: &mut ServerConnection, messages: &[u8]) -> Result<(), OwnRequestError> {
    server.stream().write_all(messages).await?;
    server.stream().flush().await?;
    let mut inbound = Vec::with_capacity(1024);
    let mut refused = None;
    loop {
        let Some(length) = whole_message(&inbound)? else {
            let is_too_much = inbound.len() >= ANSWER_BYTES_MAX;
            if is_too_much || server.stream().read_buf(&mut inbound).await? == 0 {
                return Err(OwnRequestError::Lost);
            }
            continue;
        };
        let (tag, body) = (inbound[0], &inbound[frame::HEADER_LEN..length]);
        match tag {
            b'S' => {
                let (name, value) =
                    backend::parameter_status(body).map_err(|_malformed| OwnRequestError::Lost)?;
                server.report_parameter(&String::from_utf8_lossy(name), &String::from_utf8_lossy(value));
            }
            b'E' => refused = Some(backend::ErrorFields::new(body).message().into_owned()),
            b'Z' => {
                let status = backend::ready_for_query(body).map_err(|_malformed| OwnRequestError::Lost)?;
                // Nothing may have come behind it, and no transaction may be open.
                if status != TransactionStatus::Idle || inbound.len() != length {
                    return Err(OwnRequestError::Lost);
                }
                break;
            }
            _ => {}
        }
        inbound.drain(..length);
    }
    refused.map_or(Ok(()), |message| Err(OwnRequestError::Refused(message)))
}

fn whole_message(inbound: &[u8]) -> Result<Option<usize>, OwnRequestError> {
    let header = frame::peek_header(inbound).map_err(|_malformed| OwnRequestError::Lost)?;
    Ok(header.map(|header| header.len).filter(|length| *length <= inbound.len()))
}
