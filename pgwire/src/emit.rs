//! Appending one whole message to a buffer, or nothing.

/// Why a message could not be written. The buffer is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The message or a field of it is longer than a length in the protocol can say.
    #[error("message is too long for the protocol")]
    TooLong,
    /// More fields than a count in the protocol can say.
    #[error("message has too many fields for the protocol")]
    TooMany,
    /// A zero byte inside a string would end it early and turn the rest into other fields.
    #[error("string contains a zero byte")]
    ZeroByte,
    /// An empty parameter name would end the list of parameters early.
    #[error("parameter name is empty")]
    EmptyName,
}

/// Lengths in the protocol are signed 32-bit numbers, so no field can be longer than this.
/// <https://www.postgresql.org/docs/current/protocol-message-types.html>
const FIELD_BYTES_MAX: usize = 0x7fff_ffff;

/// The longest text that the gateway says in a message of its own. Nothing it says comes near; a
/// caller that passes more gets it cut, because a reply that is due must not fail.
const REPLY_TEXT_BYTES_MAX: usize = 1024 * 1024;

/// Writes a tagged message whose body `body` appends.
pub(crate) fn message(
    out: &mut Vec<u8>,
    tag: u8,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    message_head(out, tag, 0, body)
}

/// Writes the beginning of a tagged message, of whose body `following` bytes are sent by other means.
pub(crate) fn message_head(
    out: &mut Vec<u8>,
    tag: u8,
    following: usize,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    let start = out.len();
    out.push(tag);
    let written = counted(out, following, body);
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// Writes a length and the body that `body` appends; the length counts itself and what is `following`.
pub(crate) fn counted(
    out: &mut Vec<u8>,
    following: usize,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let written = body(out).and_then(|()| fill_length(out, start, following));
    if written.is_err() {
        out.truncate(start);
    }
    written
}

fn fill_length(out: &mut [u8], start: usize, following: usize) -> Result<(), WriteError> {
    let counted = out.get_mut(start..).unwrap_or_default();
    let length = counted.len().checked_add(following).and_then(|length| i32::try_from(length).ok());
    let length = length.ok_or(WriteError::TooLong)?;
    let place = counted.first_chunk_mut::<4>().ok_or(WriteError::TooLong)?;
    *place = length.to_be_bytes();
    Ok(())
}

/// Appends a string and its ending zero byte.
pub(crate) fn string(out: &mut Vec<u8>, text: &[u8]) -> Result<(), WriteError> {
    // Its length is judged first: what is too long is not worth a search.
    if text.len() > FIELD_BYTES_MAX {
        return Err(WriteError::TooLong);
    }
    if text.contains(&0) {
        return Err(WriteError::ZeroByte);
    }
    bytes(out, text)?;
    out.push(0);
    Ok(())
}

/// Appends bytes as they are, after checking that they fit before copying them.
pub(crate) fn bytes(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), WriteError> {
    if bytes.len() > FIELD_BYTES_MAX {
        return Err(WriteError::TooLong);
    }
    out.extend_from_slice(bytes);
    Ok(())
}

/// Appends a length and the bytes it counts (unlike a message's, this length does not count itself).
pub(crate) fn sized(out: &mut Vec<u8>, value: &[u8]) -> Result<(), WriteError> {
    let length = i32::try_from(value.len()).map_err(|_| WriteError::TooLong)?;
    out.extend_from_slice(&length.to_be_bytes());
    bytes(out, value)
}

/// Appends a 16-bit count.
pub(crate) fn count(out: &mut Vec<u8>, count: usize) -> Result<(), WriteError> {
    let count = u16::try_from(count).map_err(|_| WriteError::TooMany)?;
    out.extend_from_slice(&count.to_be_bytes());
    Ok(())
}

/// Writes a reply of our own: its fields are bounded by [`reply_bytes`] and [`reply_string`].
pub(crate) fn reply(out: &mut Vec<u8>, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
    message(out, tag, |out| {
        body(out);
        Ok(())
    })
    .expect("a reply has a handful of bounded fields");
}

/// Appends bytes of a reply of our own, cut at [`REPLY_TEXT_BYTES_MAX`].
pub(crate) fn reply_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes.get(..REPLY_TEXT_BYTES_MAX).unwrap_or(bytes));
}

/// Appends a string of a reply of our own, cut at its first zero byte and at [`REPLY_TEXT_BYTES_MAX`].
pub(crate) fn reply_string(out: &mut Vec<u8>, text: &[u8]) {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    reply_bytes(out, text);
    out.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_counts_its_length_but_not_its_tag() {
        let mut out = b"before".to_vec();
        message(&mut out, b'Q', |out| string(out, b"ab")).unwrap();
        assert_eq!(out, b"beforeQ\0\0\0\x07ab\0");
    }

    #[test]
    fn a_message_that_fails_leaves_nothing_behind() {
        let mut out = b"before".to_vec();
        let failed = message(&mut out, b'Q', |out| string(out, b"good").and_then(|()| string(out, b"b\0d")));
        assert_eq!(failed, Err(WriteError::ZeroByte));
        assert_eq!(out, b"before");
        let failed = counted(&mut out, 0, |out| count(out, 65_536));
        assert_eq!(failed, Err(WriteError::TooMany));
        assert_eq!(out, b"before");
    }

    #[test]
    fn a_reply_is_cut_rather_than_refused() {
        let mut out = Vec::new();
        reply_string(&mut out, b"one\0two");
        assert_eq!(out, b"one\0");
        out.clear();
        reply_bytes(&mut out, &vec![7; REPLY_TEXT_BYTES_MAX + 1]);
        assert_eq!(out.len(), REPLY_TEXT_BYTES_MAX);
    }
}
