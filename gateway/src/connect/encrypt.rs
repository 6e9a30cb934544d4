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

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of asking a server that answers this.
    async fn asked(answer: &[u8]) -> Result<(), ConnectError> {
        let (mut ours, mut servers) = tokio::io::duplex(64);
        servers.write_all(answer).await.expect("it fits");
        servers.shutdown().await.expect("it is open");
        ask(&mut ours).await
    }

    #[tokio::test]
    async fn only_a_server_that_agrees_and_says_no_more_is_spoken_to() {
        asked(b"S").await.expect("it agrees");
        for answer in [&b"N"[..], b"SR", b"NE", b"E\0\0\0\x20SFATAL\0", b"H"] {
            assert!(matches!(asked(answer).await, Err(ConnectError::NotEncrypted(_))), "{answer:?}");
        }
        assert!(matches!(asked(b"").await, Err(ConnectError::Lost)));
    }

    #[tokio::test]
    async fn what_a_server_says_in_clear_is_repeated_nowhere() {
        let error = asked(b"E\0\0\0\x20Mpay up\0\0").await.expect_err("an error");
        assert!(!error.to_string().contains("pay up"), "{error}");
    }
}
