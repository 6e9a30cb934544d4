//! Reading the fields of one message body, in order and never past its end.

use std::ffi::CStr;

/// Why the body of a message is not what its type promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// A field begins inside the message and ends outside.
    #[error("insufficient data left in message")]
    Truncated,
    /// A string is not ended by a zero byte.
    #[error("invalid string in message")]
    UnterminatedString,
    /// The fields end before the message does.
    #[error("message contents do not agree with length in message header")]
    TrailingBytes,
    /// A field holds a value that the protocol does not know.
    #[error("invalid {0} in message")]
    InvalidField(&'static str),
}

/// The part of a body that is still to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    /// Everything that is left, which may be nothing.
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// A string without its ending zero byte.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<&'a [u8], MessageError> {
        // The standard library searches word by word, which matters for long queries.
        let text = CStr::from_bytes_until_nul(self.rest).map_err(|_| MessageError::UnterminatedString)?;
        self.rest = self.rest.get(text.count_bytes() + 1..).unwrap_or_default();
        Ok(text.to_bytes())
    }

    /// The next `length` bytes.
    #[inline]
    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'a [u8], MessageError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(MessageError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], MessageError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(MessageError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, MessageError> {
        self.array().map(u8::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, MessageError> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn i16(&mut self) -> Result<i16, MessageError> {
        self.array().map(i16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, MessageError> {
        self.array().map(u32::from_be_bytes)
    }

    #[inline]
    pub(crate) fn i32(&mut self) -> Result<i32, MessageError> {
        self.array().map(i32::from_be_bytes)
    }

    /// Insists that the body has been read to its end.
    #[inline]
    pub(crate) fn end(self) -> Result<(), MessageError> {
        if self.rest.is_empty() { Ok(()) } else { Err(MessageError::TrailingBytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_order_and_to_the_end() {
        let mut cursor = Cursor::new(b"name\0\0\x07\xff\xff\xff\xfeab");
        assert_eq!(cursor.string(), Ok(&b"name"[..]));
        assert_eq!(cursor.u16(), Ok(7));
        assert_eq!(cursor.i32(), Ok(-2));
        assert_eq!(cursor.end(), Err(MessageError::TrailingBytes));
        assert_eq!(cursor.bytes(2), Ok(&b"ab"[..]));
        assert_eq!(cursor.end(), Ok(()));
    }

    #[test]
    fn a_failed_read_takes_nothing() {
        let mut cursor = Cursor::new(b"abc");
        assert_eq!(cursor.i32(), Err(MessageError::Truncated));
        assert_eq!(cursor.string(), Err(MessageError::UnterminatedString));
        assert_eq!(cursor.bytes(usize::MAX), Err(MessageError::Truncated));
        assert_eq!(cursor.rest(), b"abc");
    }
}
