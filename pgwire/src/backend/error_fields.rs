//! The fields of an ErrorResponse or a NoticeResponse.

use crate::cursor::Cursor;
use crate::error_response::Severity;
use crate::sqlstate::SqlState;
use std::borrow::Cow;

/// The fields of an ErrorResponse or a NoticeResponse, each of which may be missing.
///
/// PostgreSQL always sends severity, code and message, but a gateway also hears from what only claims
/// to be PostgreSQL, and a pooler has crashed on an error without a code (CVE-2026-6666). So reading
/// never fails: a body that breaks off has the fields before the break. Iterating yields field codes
/// with their values (<https://www.postgresql.org/docs/current/protocol-error-fields.html>).
#[derive(Debug, Clone)]
pub struct ErrorFields<'a> {
    cursor: Cursor<'a>,
}

impl<'a> ErrorFields<'a> {
    /// Takes the body of an ErrorResponse or a NoticeResponse.
    #[must_use]
    pub const fn new(body: &'a [u8]) -> Self {
        Self { cursor: Cursor::new(body) }
    }

    /// The first field with a code.
    #[must_use]
    pub fn get(&self, code: u8) -> Option<&'a [u8]> {
        self.clone().find_map(|(field, value)| (field == code).then_some(value))
    }

    /// A field as text. What is not UTF-8 (a server may complain before it knows an encoding) is
    /// replaced.
    #[must_use]
    pub fn text(&self, code: u8) -> Option<Cow<'a, str>> {
        self.get(code).map(String::from_utf8_lossy)
    }

    /// The SQLSTATE, when there is one and it is well formed.
    #[must_use]
    pub fn sqlstate(&self) -> Option<SqlState> {
        self.get(b'C').and_then(SqlState::parse)
    }

    /// The severity, from the field that is never translated or else from the one that may be.
    #[must_use]
    pub fn severity(&self) -> Option<Severity> {
        [b'V', b'S'].into_iter().find_map(|code| self.get(code).and_then(Severity::parse))
    }

    /// The primary message; empty when there is none.
    #[must_use]
    pub fn message(&self) -> Cow<'a, str> {
        self.text(b'M').unwrap_or_default()
    }
}

impl<'a> Iterator for ErrorFields<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let mut cursor = self.cursor;
        let code = cursor.u8().ok().filter(|code| *code != 0)?;
        let value = cursor.string().ok()?;
        self.cursor = cursor;
        Some((code, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::write;
    use crate::error_response::ErrorResponse;
    use crate::frame::peek_header;
    use proptest::prelude::*;

    #[test]
    fn an_empty_or_broken_body_has_the_fields_before_the_break() {
        for body in [&b""[..], b"\0", b"M", b"Mno end"] {
            let fields = ErrorFields::new(body);
            assert_eq!(fields.message(), "");
            assert_eq!((fields.sqlstate(), fields.severity()), (None, None));
            assert_eq!(fields.count(), 0);
        }
        assert_eq!(ErrorFields::new(b"Mwords\0C28").message(), "words");
        assert_eq!(ErrorFields::new(b"\0Mbehind the end\0\0").message(), "");
    }

    #[test]
    fn a_bad_code_is_no_code() {
        assert_eq!(ErrorFields::new(b"C\0\0").sqlstate(), None);
        assert_eq!(ErrorFields::new(b"Ctoo long\0\0").sqlstate(), None);
    }

    #[test]
    fn a_translated_severity_does_not_hide_the_plain_one() {
        let fields = ErrorFields::new(b"SFEHLER\0VERROR\0\0");
        assert_eq!(fields.severity(), Some(Severity::Error));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let error = ErrorResponse {
            detail: Some("the detail"),
            ..ErrorResponse::new(Severity::Fatal, SqlState::TOO_MANY_CONNECTIONS, "no room")
                .with_hint(Some("wait"))
        };
        let mut out = Vec::new();
        write::error_response(&mut out, &error);
        let header = peek_header(&out).unwrap().unwrap();
        let fields = ErrorFields::new(header.body(&out).unwrap());
        assert_eq!(fields.severity(), Some(Severity::Fatal));
        assert_eq!(fields.sqlstate(), Some(SqlState::TOO_MANY_CONNECTIONS));
        assert_eq!(fields.message(), "no room");
        assert_eq!(fields.text(b'D').as_deref(), Some("the detail"));
        assert_eq!(fields.text(b'H').as_deref(), Some("wait"));
        assert_eq!(header.len, out.len());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(body in proptest::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..64)) {
            let fields = ErrorFields::new(&body);
            let _ = (fields.sqlstate(), fields.severity(), fields.message());
            prop_assert!(fields.count() <= body.len() / 2);
        }
    }
}
