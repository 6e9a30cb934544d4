//! How a connection becomes encrypted, or does not: the words before TLS, on both sides of us.
//!
//! Whatever is sent in clear could have been put there by somebody in between. So nothing that arrived in clear
//! may be left when encryption begins, and what a server says in clear in place of an answer is shown to nobody.

/// The first byte of a TLS record that holds a handshake message, such as a ClientHello (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// Why a connection does not become encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncryptionError {
    /// The peer went on in clear where encryption was to begin (CVE-2021-3935, CVE-2021-23222).
    #[error("received unencrypted data behind the encryption request or its answer")]
    EarlyData,
    /// The server answered with an error, in clear. Its words are not looked at (CVE-2024-10977).
    #[error("server answered the encryption request with an error")]
    ServerError,
    /// A byte that is no answer.
    #[error("server answered the encryption request with byte {0:#04x}")]
    Unknown(u8),
}

/// A server's answer to an SSLRequest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncryptionAnswer {
    /// `S`: the TLS handshake begins now.
    Granted,
    /// `N`: the connection stays in clear.
    Refused,
}

impl EncryptionAnswer {
    /// Reads everything that the server has sent so far, which must be the one byte of an answer. `None` while
    /// nothing is there.
    ///
    /// # Errors
    /// Another byte, or more than one.
    pub const fn parse(received: &[u8]) -> Result<Option<Self>, EncryptionError> {
        match received {
            [] => Ok(None),
            [b'S'] => Ok(Some(Self::Granted)),
            [b'N'] => Ok(Some(Self::Refused)),
            [b'S' | b'N', ..] => Err(EncryptionError::EarlyData),
            [b'E', ..] => Err(EncryptionError::ServerError),
            [other, ..] => Err(EncryptionError::Unknown(*other)),
        }
    }
}

/// Whether the first byte of a connection begins a TLS handshake without an SSLRequest ("direct TLS",
/// `sslnegotiation=direct`). No packet of PostgreSQL's begins so: it would be 352 megabytes long.
#[must_use]
pub const fn is_direct_tls(first_byte: u8) -> bool {
    first_byte == TLS_HANDSHAKE
}

/// Insists that nothing is left of what a client sent up to its encryption request: to be called with everything
/// behind the request, before it is answered.
///
/// # Errors
/// [`EncryptionError::EarlyData`] when there is something.
pub const fn expect_no_early_data(behind_request: &[u8]) -> Result<(), EncryptionError> {
    if behind_request.is_empty() { Ok(()) } else { Err(EncryptionError::EarlyData) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        for (received, answer) in [
            (&b""[..], Ok(None)),
            (b"S", Ok(Some(EncryptionAnswer::Granted))),
            (b"N", Ok(Some(EncryptionAnswer::Refused))),
            (b"G", Err(EncryptionError::Unknown(b'G'))),
            (b"\0", Err(EncryptionError::Unknown(0))),
        ] {
            assert_eq!(EncryptionAnswer::parse(received), answer, "{received:?}");
        }
    }

    #[test]
    fn a_handshake_is_told_from_every_packet_that_fits() {
        assert!(is_direct_tls(0x16));
        assert!((0..=u8::MAX).filter(|byte| is_direct_tls(*byte)).eq([0x16]));
    }
}
