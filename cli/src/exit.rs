//! How a command ends: the exit codes of `docs/cli.md`, and errors as people read them.

use launcher::PostgresError;
use std::process::ExitCode;

/// The exit codes. Scripts rely on them, so a code never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Something failed that has no code of its own.
    Failure,
    /// The command line or a configuration is wrong. clap uses the same number.
    Usage,
    /// The control plane knows no such thing.
    NotFound,
    /// The control plane refused: a conflict, a wrong state, a value it does not accept.
    Refused,
    /// The operator token is missing or wrong.
    Unauthorized,
    /// The control plane cannot be reached or cannot answer now; try again.
    Unavailable,
    /// The operation ended otherwise than in success.
    OperationFailed,
    /// Somebody was to confirm and did not.
    NotConfirmed,
    /// Interrupted by Ctrl-C; what the control plane does goes on.
    Interrupted,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Failure => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Refused => 4,
            Self::Unauthorized => 5,
            Self::Unavailable => 6,
            Self::OperationFailed => 7,
            Self::NotConfirmed => 8,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command did not do what it was asked: one line, and perhaps what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// The code to exit with.
    pub exit: Exit,
    message: String,
    hint: Option<String>,
}

impl CommandError {
    /// An error without a hint.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The lines to show. A message of several lines, a heading and a list, is joined: one error is one line.
    #[must_use]
    pub fn lines(&self) -> String {
        let mut lines = self.message.lines().map(str::trim);
        let heading = lines.next().unwrap_or_default();
        let list = lines.collect::<Vec<_>>().join("; ");
        let message = if list.is_empty() { heading.to_owned() } else { format!("{heading} {list}") };
        match &self.hint {
            Some(hint) => format!("error: {message}\nhint: {hint}"),
            None => format!("error: {message}"),
        }
    }
}

impl From<PostgresError> for CommandError {
    fn from(error: PostgresError) -> Self {
        Self { exit: Exit::Failure, message: error.to_string(), hint: error.hint() }
    }
}

impl From<std::io::Error> for CommandError {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Failure, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_problems_is_one_line() {
        let error = CommandError::new(Exit::Usage, "x.toml has 2 problems:\n  a: is bad\n  b: is worse");
        assert_eq!(error.lines(), "error: x.toml has 2 problems: a: is bad; b: is worse");
    }
}
