//! From what the driver says to what the caller can do about it.

use super::{CatalogError, Constraint};
use std::error::Error as _;
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::types::WrongType;

impl From<tokio_postgres::Error> for CatalogError {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(answer) = error.as_db_error() {
            return from_answer(answer);
        }
        match error.source() {
            Some(source) if source.is::<WrongType>() => Self::corrupt("column", source),
            Some(source) => Self::unavailable(format!("{error}: {source}")),
            None => Self::unavailable(error.to_string()),
        }
    }
}

fn from_answer(answer: &DbError) -> CatalogError {
    let constraint = || Constraint::from_name(answer.constraint().unwrap_or("unnamed"));
    match answer.code() {
        code if *code == SqlState::UNIQUE_VIOLATION => CatalogError::Conflict { constraint: constraint() },
        code if *code == SqlState::FOREIGN_KEY_VIOLATION || *code == SqlState::CHECK_VIOLATION => {
            CatalogError::Refused { constraint: constraint() }
        }
        code if *code == SqlState::QUERY_CANCELED => CatalogError::Timeout,
        code if *code == SqlState::LOCK_NOT_AVAILABLE
            || *code == SqlState::T_R_DEADLOCK_DETECTED
            || *code == SqlState::T_R_SERIALIZATION_FAILURE =>
        {
            CatalogError::Busy
        }
        code if means_unavailable(code.code()) => CatalogError::unavailable(answer.message()),
        code => CatalogError::Database { code: code.code().to_owned(), message: answer.message().to_owned() },
    }
}

/// A server that is starting, stopping, full, read-only after a failover, or that will not let us in
/// answers none of our questions, whatever they are.
fn means_unavailable(code: &str) -> bool {
    let class = code.get(..2).unwrap_or_default();
    matches!(class, "08" | "28" | "53" | "57" | "58") || matches!(code, "3D000" | "25006" | "25P03")
}

#[cfg(test)]
mod tests {
    use super::means_unavailable;

    #[test]
    fn a_server_that_cannot_serve_is_unavailable_and_one_that_says_no_is_not() {
        for code in ["08006", "28P01", "53300", "57P01", "57P03", "3D000", "25006"] {
            assert!(means_unavailable(code), "{code}");
        }
        for code in ["23505", "42P01", "22P02", "40001", "XX000"] {
            assert!(!means_unavailable(code), "{code}");
        }
    }
}
