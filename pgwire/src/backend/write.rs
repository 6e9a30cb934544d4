//! Appending replies that a server sends.
//!
//! Each function appends one whole message to `out` and cannot fail, since a reply that is due must
//! be given: text of ours that cannot stand in a message (it holds a zero byte, or more than a
//! megabyte) is cut where it stops fitting.

mod rows;

pub use rows::{ResultColumn, data_row, no_parameters, portal_suspended, row_description};

use super::{TransactionStatus, authentication, tag};
use crate::cancel::CancelKey;
use crate::emit::{reply, reply_bytes, reply_string};
use crate::error_response::ErrorResponse;
use crate::startup::EXTENSIONS_MAX;

/// AuthenticationOk.
pub fn authentication_ok(out: &mut Vec<u8>) {
    authentication(out, authentication::OK, &[]);
}

/// AuthenticationCleartextPassword.
pub fn authentication_cleartext(out: &mut Vec<u8>) {
    authentication(out, authentication::CLEARTEXT_PASSWORD, &[]);
}

/// AuthenticationSASL with the mechanisms on offer, best first.
pub fn authentication_sasl(out: &mut Vec<u8>, mechanisms: &[&str]) {
    reply(out, tag::AUTHENTICATION, |out| {
        out.extend_from_slice(&authentication::SASL.to_be_bytes());
        for mechanism in mechanisms {
            reply_string(out, mechanism.as_bytes());
        }
        out.push(0);
    });
}

/// AuthenticationSASLContinue.
pub fn sasl_continue(out: &mut Vec<u8>, data: &[u8]) {
    authentication(out, authentication::SASL_CONTINUE, data);
}

/// AuthenticationSASLFinal.
pub fn sasl_final(out: &mut Vec<u8>, data: &[u8]) {
    authentication(out, authentication::SASL_FINAL, data);
}

fn authentication(out: &mut Vec<u8>, kind: i32, data: &[u8]) {
    reply(out, tag::AUTHENTICATION, |out| {
        out.extend_from_slice(&kind.to_be_bytes());
        reply_bytes(out, data);
    });
}

/// ParameterStatus.
pub fn parameter_status(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    reply(out, tag::PARAMETER_STATUS, |out| {
        reply_string(out, name);
        reply_string(out, value);
    });
}

/// BackendKeyData of protocol 3.0.
pub fn backend_key_data(out: &mut Vec<u8>, key: CancelKey) {
    reply(out, tag::BACKEND_KEY_DATA, |out| {
        out.extend_from_slice(&key.process_id.to_be_bytes());
        out.extend_from_slice(&key.secret.to_be_bytes());
    });
}

/// ReadyForQuery.
pub fn ready_for_query(out: &mut Vec<u8>, status: TransactionStatus) {
    reply(out, tag::READY_FOR_QUERY, |out| out.push(status.as_byte()));
}

/// NegotiateProtocolVersion: the newest minor version of protocol 3 spoken here, and the extensions
/// asked for that are not known here, of which a startup packet holds no more than 1024.
pub fn negotiate_protocol_version<'a>(
    out: &mut Vec<u8>,
    minor: u16,
    extensions: impl IntoIterator<Item = &'a str>,
) {
    reply(out, tag::NEGOTIATE_PROTOCOL_VERSION, |out| {
        // PostgreSQL sends the whole version here, major and minor, and libpq expects it so.
        let [a, b] = minor.to_be_bytes();
        out.extend_from_slice(&[0, 3, a, b]);
        let mut names = Vec::new();
        let mut count = 0_i32;
        for extension in extensions.into_iter().take(EXTENSIONS_MAX) {
            reply_string(&mut names, extension.as_bytes());
            count += 1;
        }
        out.extend_from_slice(&count.to_be_bytes());
        out.append(&mut names);
    });
}

/// ParseComplete.
pub fn parse_complete(out: &mut Vec<u8>) {
    empty(out, tag::PARSE_COMPLETE);
}

/// BindComplete.
pub fn bind_complete(out: &mut Vec<u8>) {
    empty(out, tag::BIND_COMPLETE);
}

/// CloseComplete.
pub fn close_complete(out: &mut Vec<u8>) {
    empty(out, tag::CLOSE_COMPLETE);
}

/// NoData.
pub fn no_data(out: &mut Vec<u8>) {
    empty(out, tag::NO_DATA);
}

/// EmptyQueryResponse.
pub fn empty_query_response(out: &mut Vec<u8>) {
    empty(out, tag::EMPTY_QUERY_RESPONSE);
}

fn empty(out: &mut Vec<u8>, tag: u8) {
    out.extend_from_slice(&[tag, 0, 0, 0, 4]);
}

/// CommandComplete with its tag, such as `SET` or `SELECT 1`.
pub fn command_complete(out: &mut Vec<u8>, command_tag: &[u8]) {
    reply(out, tag::COMMAND_COMPLETE, |out| reply_string(out, command_tag));
}

/// ErrorResponse.
pub fn error_response(out: &mut Vec<u8>, error: &ErrorResponse<'_>) {
    reply(out, tag::ERROR_RESPONSE, |out| fields(out, error));
}

/// NoticeResponse.
pub fn notice(out: &mut Vec<u8>, notice: &ErrorResponse<'_>) {
    reply(out, tag::NOTICE_RESPONSE, |out| fields(out, notice));
}

/// Field codes: <https://www.postgresql.org/docs/current/protocol-error-fields.html>.
fn fields(out: &mut Vec<u8>, error: &ErrorResponse<'_>) {
    let severity = error.severity.as_str();
    let fields = [
        (b'S', Some(severity)),
        (b'V', Some(severity)),
        (b'C', Some(error.code.as_str())),
        (b'M', Some(error.message)),
        (b'D', error.detail),
        (b'H', error.hint),
    ];
    for (code, value) in fields {
        if let Some(value) = value {
            out.push(code);
            reply_string(out, value.as_bytes());
        }
    }
    out.push(0);
}
