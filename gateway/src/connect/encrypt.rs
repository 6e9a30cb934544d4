//! TLS on a connection to a server: asked for in clear, then on or never.
//!
//! What a server says before TLS could be anybody's word: only its one byte of an answer is looked at, and a server
//! that says no is not spoken to in clear instead.

use super::ConnectError;
use pgwire::frontend::write;
use pgwire::startup::EncryptionAnswer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// More than an answer has, so that what is sent along with one is noticed.
const ANSWER_BYTES_MAX: usize = 16;

/// Asks for encryption, and returns when the server has agreed to it.
///
/// # Errors
/// [`ConnectError::NotEncrypted`] when it does not.
pub(super) async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<(), ConnectError> {
    let mut request = Vec::with_capacity(8);
    write::ssl_request(&mut request);
    stream.write_all(&request).await?;
    let mut answer = [0; ANSWER_BYTES_MAX];
    let length = stream.read(&mut answer).await?;
    let answer = EncryptionAnswer::parse(&answer[..length])
        .map_err(|error| ConnectError::NotEncrypted(error.to_string()))?;
    match answer {
        Some(EncryptionAnswer::Granted) => Ok(()),
        Some(EncryptionAnswer::Refused) => {
            Err(ConnectError::NotEncrypted("the server does not offer TLS".to_owned()))
        }
        None => Err(ConnectError::Lost),
    }
}
