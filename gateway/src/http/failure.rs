//! How a request to `/sql` can fail, and the body that says so.
//!
//! Drivers of this contract read the JSON body of a 400 and show other statuses as text, so whatever is
//! about the statement itself is a 400 and has all the fields of a PostgreSQL error.

use crate::error::{self, Refusal};
use hyper::StatusCode;
use pgwire::backend::ErrorFields;
use serde::Serialize;
use std::borrow::Cow;
use std::time::Duration;
use tenancy::ErrorKind;
use utoipa::ToSchema;

/// Where clients may retry and nobody knows when, they should wait this long.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Why there is no result.
#[derive(Debug)]
pub enum Failure {
    /// The gateway would not or could not run the statement.
    Refused(Refusal),
    /// The statement cannot be run as it is: the gateway's own words in PostgreSQL's form.
    Statement {
        /// SQLSTATE.
        code: &'static str,
        /// What is wrong: lower case, no full stop.
        message: Cow<'static, str>,
        /// What to do about it.
        hint: Option<&'static str>,
    },
    /// PostgreSQL's answer.
    Server(Box<ErrorBody>),
    /// The result is larger than a response may be.
    TooLarge {
        /// What of it.
        what: &'static str,
        /// The bound, in bytes.
        bytes_max: usize,
    },
}

impl Failure {
    /// A statement that cannot be run.
    pub fn statement(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::Statement { code, message: message.into(), hint: None }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Refused(refusal) => error::http_status(refusal.kind()),
            Self::Statement { .. } | Self::Server(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge { .. } => StatusCode::INSUFFICIENT_STORAGE,
        }
    }

    /// What to count it as; an answer of PostgreSQL is counted where it is read.
    #[must_use]
    pub fn kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Refused(refusal) => Some(refusal.kind()),
            Self::Statement { code: UNSUPPORTED, .. } => Some(ErrorKind::Unsupported),
            Self::Statement { .. } => Some(ErrorKind::ProtocolViolation),
            Self::TooLarge { .. } => Some(ErrorKind::TooLarge),
            Self::Server(_) => None,
        }
    }

    /// When the same request may succeed if it is sent again; none if it will not.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let Self::Refused(refusal) = self else { return None };
        let pause = refusal.retry_pause().unwrap_or(RETRY_PAUSE);
        refusal.kind().retryable().then_some(pause)
    }

    /// The body.
    #[must_use]
    pub fn into_body(self) -> ErrorBody {
        let body = |message: String, code: &str, hint: Option<&str>| ErrorBody {
            message,
            code: Some(code.to_owned()),
            hint: hint.map(str::to_owned),
            severity: Some("ERROR".to_owned()),
            ..ErrorBody::default()
        };
        match self {
            Self::Refused(refusal) => body(
                refusal.message().to_owned(),
                error::sqlstate(refusal.kind()).as_str(),
                refusal.hint_text(),
            ),
            Self::Statement { code, message, hint } => body(message.into_owned(), code, hint),
            Self::Server(answer) => *answer,
            Self::TooLarge { what, bytes_max } => body(
                format!("{what} is too large (max is {bytes_max} bytes)"),
                "54000",
                Some("ask for fewer rows at a time, or use the PostgreSQL protocol, which streams"),
            ),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// `feature_not_supported`.
pub const UNSUPPORTED: &str = "0A000";

/// `syntax_error`.
const SYNTAX_ERROR: &str = "42601";

/// The body of an error, as `@neondatabase/serverless` reads it: every field is there, and null when
/// PostgreSQL did not send it. `position` and `line` are text.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    message: String,
    code: Option<String>,
    detail: Option<String>,
    hint: Option<String>,
    position: Option<String>,
    internal_position: Option<String>,
    internal_query: Option<String>,
    severity: Option<String>,
    #[serde(rename = "where")]
    context: Option<String>,
    table: Option<String>,
    column: Option<String>,
    schema: Option<String>,
    data_type: Option<String>,
    constraint: Option<String>,
    file: Option<String>,
    line: Option<String>,
    routine: Option<String>,
}

impl ErrorBody {
    /// Has it say what the server's own words do not: whose bound was met.
    pub fn say_instead(&mut self, refusal: &Refusal) {
        self.message = refusal.message().to_owned();
        self.hint = refusal.hint_text().map(str::to_owned);
    }

    /// Field codes: <https://www.postgresql.org/docs/current/protocol-error-fields.html>.
    #[must_use]
    pub fn from_fields(fields: &ErrorFields<'_>) -> Self {
        let text = |code| fields.text(code).map(Cow::into_owned);
        Self {
            message: fields.message().into_owned(),
            code: text(b'C'),
            detail: text(b'D'),
            hint: text(b'H'),
            position: text(b'P'),
            internal_position: text(b'p'),
            internal_query: text(b'q'),
            severity: text(b'V').or_else(|| text(b'S')),
            context: text(b'W'),
            table: text(b't'),
            column: text(b'c'),
            schema: text(b's'),
            data_type: text(b'd'),
            constraint: text(b'n'),
            file: text(b'F'),
            line: text(b'L'),
            routine: text(b'R'),
        }
    }

    /// Takes out what the server says of a comment that stands behind the statement. `length`: the characters of the
    /// statement without it. Only the end of a text is found behind the comment, and that is a syntax error.
    pub fn forget(&mut self, comment: &str, length: Option<usize>) {
        if self.message.contains(comment) {
            self.message = self.message.replace(comment, "");
        }
        let end = length.filter(|_| self.code.as_deref() == Some(SYNTAX_ERROR)).map(|length| length + 1);
        let position = self.position.as_deref().and_then(|position| position.parse::<usize>().ok());
        if let Some(end) = end.filter(|end| position.is_some_and(|position| position > *end)) {
            self.position = Some(end.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn value(body: &ErrorBody) -> Value {
        serde_json::to_value(body).expect("text and nulls")
    }

    #[test]
    fn an_answer_of_postgresql_keeps_all_its_fields() {
        let fields = b"SFEHLER\0VERROR\0C23505\0Mduplicate key\0DKey (a)=(1)\0nt_pkey\0tt\0sshop\0L664\0\0";
        let body = value(&ErrorBody::from_fields(&ErrorFields::new(fields)));
        let expected = json!({
            "message": "duplicate key", "code": "23505", "detail": "Key (a)=(1)", "hint": null,
            "position": null, "internalPosition": null, "internalQuery": null, "severity": "ERROR",
            "where": null, "table": "t", "column": null, "schema": "shop", "dataType": null,
            "constraint": "t_pkey", "file": null, "line": "664", "routine": null,
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn our_own_refusals_have_the_same_form() {
        let refusal = Refusal::new(ErrorKind::TenantSuspended, "the tenant is suspended").hint("wait");
        let failure = Failure::from(refusal);
        assert_eq!(failure.status(), StatusCode::FORBIDDEN);
        let body = value(&failure.into_body());
        assert_eq!((&body["code"], &body["hint"]), (&json!("57P03"), &json!("wait")));
        assert_eq!(body.as_object().map(serde_json::Map::len), Some(17));
    }

    #[test]
    fn what_is_about_the_statement_is_a_400_and_a_large_result_a_507() {
        assert_eq!(Failure::statement(UNSUPPORTED, "no").status(), StatusCode::BAD_REQUEST);
        assert_eq!(Failure::statement(UNSUPPORTED, "no").kind(), Some(ErrorKind::Unsupported));
        assert_eq!(Failure::TooLarge { what: "response", bytes_max: 9 }.status().as_u16(), 507);
    }
}
