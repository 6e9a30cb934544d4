//! Appending messages that a client sends.
//!
//! Each function appends one whole message to `out`, or nothing when it fails.

use super::{Bind, tag};
use crate::cancel::CancelKey;
use crate::emit::{self, WriteError};
use crate::startup::{CANCEL_REQUEST_CODE, SSL_REQUEST_CODE};

/// Protocol 3.0, the version that every supported server speaks.
/// <https://www.postgresql.org/docs/current/protocol-message-formats.html>
const PROTOCOL_VERSION: i32 = 0x0003_0000;

/// StartupMessage for protocol 3.0.
///
/// # Errors
/// An empty name, a zero byte in a name or value, or more than fits.
pub fn startup<'a>(
    out: &mut Vec<u8>,
    parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<(), WriteError> {
    emit::counted(out, 0, |out| {
        out.extend_from_slice(&PROTOCOL_VERSION.to_be_bytes());
        for (name, value) in parameters {
            if name.is_empty() {
                return Err(WriteError::EmptyName);
            }
            emit::string(out, name.as_bytes())?;
            emit::string(out, value.as_bytes())?;
        }
        out.push(0);
        Ok(())
    })
}

/// CancelRequest, to be sent alone on a connection of its own.
pub fn cancel_request(out: &mut Vec<u8>, key: CancelKey) {
    out.extend_from_slice(&16_i32.to_be_bytes());
    out.extend_from_slice(&CANCEL_REQUEST_CODE.to_be_bytes());
    out.extend_from_slice(&key.process_id.to_be_bytes());
    out.extend_from_slice(&key.secret.to_be_bytes());
}

/// SSLRequest, to be sent first; the answer is read by [`crate::startup::EncryptionAnswer::parse`].
pub fn ssl_request(out: &mut Vec<u8>) {
    out.extend_from_slice(&8_i32.to_be_bytes());
    out.extend_from_slice(&SSL_REQUEST_CODE.to_be_bytes());
}

/// PasswordMessage, in clear.
///
/// # Errors
/// A zero byte in the password, or more than fits.
pub fn password(out: &mut Vec<u8>, password: &[u8]) -> Result<(), WriteError> {
    emit::message(out, tag::PASSWORD, |out| emit::string(out, password))
}

/// SASLInitialResponse.
///
/// # Errors
/// A zero byte in the mechanism's name, or more than fits.
pub fn sasl_initial(out: &mut Vec<u8>, mechanism: &str, data: &[u8]) -> Result<(), WriteError> {
    emit::message(out, tag::PASSWORD, |out| {
        emit::string(out, mechanism.as_bytes())?;
        emit::sized(out, data)
    })
}

/// SASLResponse.
///
/// # Errors
/// More than fits.
pub fn sasl_response(out: &mut Vec<u8>, data: &[u8]) -> Result<(), WriteError> {
    emit::message(out, tag::PASSWORD, |out| emit::bytes(out, data))
}

/// Query.
///
/// # Errors
/// A zero byte in the query, or more than fits.
pub fn query(out: &mut Vec<u8>, query: &[u8]) -> Result<(), WriteError> {
    emit::message(out, tag::QUERY, |out| emit::string(out, query))
}

/// Parse with the types of some first parameters (0: for the server to find out).
///
/// # Errors
/// A zero byte in the name or the query, or more than fits.
pub fn parse(out: &mut Vec<u8>, name: &[u8], query: &[u8], types: &[u32]) -> Result<(), WriteError> {
    emit::message(out, tag::PARSE, |out| {
        emit::string(out, name)?;
        emit::string(out, query)?;
        emit::count(out, types.len())?;
        out.extend(types.iter().flat_map(|oid| oid.to_be_bytes()));
        Ok(())
    })
}

/// Parse with everything behind the name as a client sent it: the query, its ending zero byte and
/// [`super::Parse::rest`].
///
/// # Errors
/// A zero byte in the name, or more than fits.
pub fn parse_raw(out: &mut Vec<u8>, name: &[u8], behind_name: &[u8]) -> Result<(), WriteError> {
    emit::message(out, tag::PARSE, |out| {
        emit::string(out, name)?;
        emit::bytes(out, behind_name)
    })
}

/// A client's Bind with another statement's name.
///
/// # Errors
/// A zero byte in a name, or more than fits.
pub fn bind_renamed(out: &mut Vec<u8>, bind: &Bind<'_>, statement: &[u8]) -> Result<(), WriteError> {
    emit::message(out, tag::BIND, |out| {
        emit::string(out, bind.portal)?;
        emit::string(out, statement)?;
        emit::bytes(out, bind.rest)
    })
}

/// The beginning of a Bind, up to and with the names, of which `rest_len` more bytes must follow: a large
/// one can so be given another statement's name while it passes, without being held in memory.
///
/// # Errors
/// A zero byte in a name, or more than fits.
pub fn bind_head(
    out: &mut Vec<u8>,
    portal: &[u8],
    statement: &[u8],
    rest_len: usize,
) -> Result<(), WriteError> {
    emit::message_head(out, tag::BIND, rest_len, |out| {
        emit::string(out, portal)?;
        emit::string(out, statement)
    })
}

/// Bind with all parameters and all results as text. `None` is NULL.
///
/// # Errors
/// A zero byte in a name, or more than fits; 65,535 parameters fit.
pub fn bind_text(
    out: &mut Vec<u8>,
    portal: &[u8],
    statement: &[u8],
    parameters: &[Option<&[u8]>],
) -> Result<(), WriteError> {
    emit::message(out, tag::BIND, |out| {
        emit::string(out, portal)?;
        emit::string(out, statement)?;
        // No format codes: all are text.
        emit::count(out, 0)?;
        emit::count(out, parameters.len())?;
        for parameter in parameters {
            match parameter {
                Some(value) => emit::sized(out, value)?,
                None => out.extend_from_slice(&(-1_i32).to_be_bytes()),
            }
        }
        emit::count(out, 0)
    })
}

/// Describe; `kind` is [`super::STATEMENT`] or [`super::PORTAL`].
///
/// # Errors
/// A zero byte in the name, or more than fits.
pub fn describe(out: &mut Vec<u8>, kind: u8, name: &[u8]) -> Result<(), WriteError> {
    named(out, tag::DESCRIBE, kind, name)
}

/// Close; `kind` is [`super::STATEMENT`] or [`super::PORTAL`].
///
/// # Errors
/// A zero byte in the name, or more than fits.
pub fn close(out: &mut Vec<u8>, kind: u8, name: &[u8]) -> Result<(), WriteError> {
    named(out, tag::CLOSE, kind, name)
}

fn named(out: &mut Vec<u8>, tag: u8, kind: u8, name: &[u8]) -> Result<(), WriteError> {
    emit::message(out, tag, |out| {
        out.push(kind);
        emit::string(out, name)
    })
}

/// Execute; zero rows means all.
///
/// # Errors
/// A zero byte in the name, or more than fits.
pub fn execute(out: &mut Vec<u8>, portal: &[u8], max_rows: i32) -> Result<(), WriteError> {
    emit::message(out, tag::EXECUTE, |out| {
        emit::string(out, portal)?;
        out.extend_from_slice(&max_rows.to_be_bytes());
        Ok(())
    })
}

/// FunctionCall without arguments, of the function with this object id.
pub fn function_call(out: &mut Vec<u8>, function: u32) {
    out.extend_from_slice(&[tag::FUNCTION_CALL, 0, 0, 0, 14]);
    out.extend_from_slice(&function.to_be_bytes());
    // No formats of arguments, no arguments, and the result as text.
    out.extend_from_slice(&[0; 6]);
}

/// CopyFail with the reason that the server will report.
///
/// # Errors
/// A zero byte in the reason, or more than fits.
pub fn copy_fail(out: &mut Vec<u8>, reason: &[u8]) -> Result<(), WriteError> {
    emit::message(out, tag::COPY_FAIL, |out| emit::string(out, reason))
}

/// Sync.
pub fn sync(out: &mut Vec<u8>) {
    empty(out, tag::SYNC);
}

/// Flush.
pub fn flush(out: &mut Vec<u8>) {
    empty(out, tag::FLUSH);
}

/// Terminate.
pub fn terminate(out: &mut Vec<u8>) {
    empty(out, tag::TERMINATE);
}

fn empty(out: &mut Vec<u8>, tag: u8) {
    out.extend_from_slice(&[tag, 0, 0, 0, 4]);
}
