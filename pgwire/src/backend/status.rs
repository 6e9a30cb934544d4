//! Small messages about the state of a session.

use crate::cancel::CancelKey;
use crate::cursor::{Cursor, MessageError};

/// What ReadyForQuery says of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionStatus {
    /// No transaction is open.
    Idle,
    /// A transaction is open.
    InTransaction,
    /// A transaction is open and has failed; only its end is accepted.
    Failed,
}

impl TransactionStatus {
    /// The byte on the wire.
    #[must_use]
    pub const fn as_byte(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::InTransaction => b'T',
            Self::Failed => b'E',
        }
    }
}

/// Reads the body of a ReadyForQuery.
///
/// # Errors
/// Not exactly one byte, or one that means nothing.
#[inline]
pub fn ready_for_query(body: &[u8]) -> Result<TransactionStatus, MessageError> {
    match body {
        b"I" => Ok(TransactionStatus::Idle),
        b"T" => Ok(TransactionStatus::InTransaction),
        b"E" => Ok(TransactionStatus::Failed),
        [] => Err(MessageError::Truncated),
        [_] => Err(MessageError::InvalidField("transaction status")),
        _ => Err(MessageError::TrailingBytes),
    }
}

/// Reads the body of a ParameterStatus: a name and a value.
///
/// # Errors
/// Not exactly two strings.
pub fn parameter_status(body: &[u8]) -> Result<(&[u8], &[u8]), MessageError> {
    let mut cursor = Cursor::new(body);
    let (name, value) = (cursor.string()?, cursor.string()?);
    cursor.end()?;
    Ok((name, value))
}

/// Reads the body of a BackendKeyData of protocol 3.0.
///
/// # Errors
/// Not exactly two numbers.
pub fn backend_key_data(body: &[u8]) -> Result<CancelKey, MessageError> {
    let mut cursor = Cursor::new(body);
    let key = CancelKey { process_id: cursor.i32()?, secret: cursor.i32()? };
    cursor.end()?;
    Ok(key)
}

/// Reads the body of a CommandComplete: the command tag, such as `INSERT 0 1`.
///
/// # Errors
/// Not exactly one string.
#[inline]
pub fn command_complete(body: &[u8]) -> Result<&[u8], MessageError> {
    let mut cursor = Cursor::new(body);
    let tag = cursor.string()?;
    cursor.end()?;
    Ok(tag)
}
