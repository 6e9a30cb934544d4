//! Why a console command failed.

use crate::error::{Refusal, sqlstate};
use pgwire::{ErrorResponse, Severity, SqlState, backend};
use std::borrow::Cow;

/// A failed command. The session goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// What a program may match on.
    pub(super) code: SqlState,
    /// What happened: lower case, no full stop, nothing secret.
    pub(super) message: Cow<'static, str>,
    /// What to do about it.
    pub(super) hint: Option<Cow<'static, str>>,
}

impl Failure {
    /// A failure without a hint.
    pub(super) fn new(code: SqlState, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Text that is no command.
    #[must_use]
    pub(super) fn syntax(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(SqlState::SYNTAX_ERROR, message).hint("SHOW HELP lists the commands")
    }

    /// Appends it as an ErrorResponse.
    pub(super) fn write(&self, out: &mut Vec<u8>, severity: Severity) {
        let response = ErrorResponse::new(severity, self.code, &self.message);
        backend::write::error_response(out, &response.with_hint(self.hint.as_deref()));
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let hint = refusal.hint_text().map(|hint| Cow::Owned(hint.to_owned()));
        Self { code: sqlstate(refusal.kind()), message: refusal.message().to_owned().into(), hint }
    }
}
