//! Where one message ends and the next begins.
//!
//! After start-up every message is a tag byte, a 32-bit length that counts itself but not the tag,
//! and a body (<https://www.postgresql.org/docs/current/protocol-overview.html>). A relay needs no
//! more than this to forward what it does not have to understand.

/// Bytes of a tag and a length, before the body.
pub const HEADER_LEN: usize = 5;

/// The length field counts its own four bytes, so it can say no less.
const LENGTH_MIN: i32 = 4;

/// What a message announces about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The kind of message; see [`crate::frontend::tag`] and [`crate::backend::tag`].
    pub tag: u8,
    /// Bytes of the whole message: tag, length and body. At least [`HEADER_LEN`].
    pub len: usize,
}

impl Header {
    /// Bytes of the body alone.
    #[inline]
    #[must_use]
    pub const fn body_len(self) -> usize {
        self.len.saturating_sub(HEADER_LEN)
    }

    /// The body of this message, which begins at the start of `buf`; `None` while it is not all there.
    #[inline]
    #[must_use]
    pub fn body(self, buf: &[u8]) -> Option<&[u8]> {
        buf.get(HEADER_LEN..self.len)
    }
}

/// A length that no message can have. Whoever sent it is out of step: close the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid message length {length}")]
pub struct FrameError {
    /// The tag that came with the length.
    pub tag: u8,
    /// The length as it was sent.
    pub length: i32,
}

/// Reads the header of the message that begins at the start of `buf`. `None` means that fewer than
/// [`HEADER_LEN`] bytes are there.
///
/// How long a message may be is for the caller to decide, before it waits for the body.
///
/// # Errors
/// A length that no message can have.
#[inline]
pub fn peek_header(buf: &[u8]) -> Result<Option<Header>, FrameError> {
    let Some(&[tag, a, b, c, d]) = buf.first_chunk::<HEADER_LEN>() else {
        return Ok(None);
    };
    let length = i32::from_be_bytes([a, b, c, d]);
    if length < LENGTH_MIN {
        return Err(FrameError { tag, length });
    }
    // Not negative and, with the tag, at most 2^31: both fit on every machine that runs this.
    match usize::try_from(length).ok().and_then(|length| length.checked_add(1)) {
        Some(len) => Ok(Some(Header { tag, len })),
        None => Err(FrameError { tag, length }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_header_counts_the_tag() {
        let header = peek_header(b"Z\0\0\0\x05I").unwrap().unwrap();
        assert_eq!(header, Header { tag: b'Z', len: 6 });
        assert_eq!(header.body_len(), 1);
        assert_eq!(header.body(b"Z\0\0\0\x05Inext"), Some(&b"I"[..]));
        assert_eq!(header.body(b"Z\0\0\0\x05"), None);
    }

    #[test]
    fn the_extremes_of_length() {
        assert_eq!(peek_header(b"S\0\0\0\x04").unwrap().unwrap().len, HEADER_LEN);
        assert_eq!(peek_header(b"S\x7f\xff\xff\xff").unwrap().unwrap().len, 0x8000_0000);
        for (bytes, length) in [(b"S\0\0\0\x03", 3), (b"S\0\0\0\0", 0), (b"S\xff\xff\xff\xff", -1)] {
            assert_eq!(peek_header(bytes), Err(FrameError { tag: b'S', length }));
        }
    }

    proptest! {
        #[test]
        fn a_prefix_never_says_anything_else(bytes in proptest::collection::vec(any::<u8>(), 0..32)) {
            let whole = peek_header(&bytes);
            for end in 0..bytes.len() {
                let prefix = peek_header(&bytes[..end]);
                prop_assert!(prefix == Ok(None) || prefix == whole);
            }
        }
    }
}
