//! Errors and notices of a server.

use super::frames::written;
use pgwire::backend::{ErrorFields, write};
use pgwire::{ErrorResponse, Severity, SqlState, frame};
use std::convert::Infallible;

/// Takes the body of an ErrorResponse or NoticeResponse: whatever fields are missing or broken, the others are
/// read, and an error of our own that says the same is read the same.
pub fn run(body: &[u8]) {
    let fields = ErrorFields::new(body);
    let mut bytes = 0;
    for (code, value) in fields.clone() {
        assert!(code != 0 && !value.contains(&0));
        assert!(fields.get(code).is_some());
        bytes += value.len() + 2;
    }
    assert!(bytes <= body.len(), "fields lie in the body");

    let (detail, hint) = (fields.text(b'D'), fields.text(b'H'));
    let message = fields.message();
    let severity = fields.severity().unwrap_or(Severity::Error);
    let code = fields.sqlstate().unwrap_or(SqlState::INTERNAL_ERROR);
    let error = ErrorResponse {
        detail: detail.as_deref(),
        hint: hint.as_deref(),
        ..ErrorResponse::new(severity, code, &message)
    };
    let again = written(|out| {
        write::error_response(out, &error);
        Ok::<_, Infallible>(())
    });
    let header = frame::peek_header(&again).expect("a length").expect("a header");
    let again = ErrorFields::new(header.body(&again).expect("all of it"));
    assert_eq!((again.severity(), again.sqlstate()), (Some(severity), Some(code)));
    assert_eq!((again.message(), again.text(b'D'), again.text(b'H')), (message, detail, hint));
}
