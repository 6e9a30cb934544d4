//! Why a request to the control plane failed, and how the command then exits.

use crate::exit::{CommandError, Exit};
use serde::Deserialize;

/// The kind of problem at the end of its `type`.
const PROBLEM_PREFIX: &str = "urn:tenantry:problem:";

/// A request that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No answer at all.
    #[error("no control plane answers at {url}: {reason}")]
    Unreachable {
        /// Where one was expected.
        url: String,
        /// What the network said.
        reason: String,
    },
    /// A refusal that the control plane explains.
    #[error("{message}")]
    Problem {
        /// The HTTP status.
        status: u16,
        /// The problem's stable name, such as `slug-taken`.
        kind: String,
        /// Title and particulars.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// An answer that no control plane gives.
    #[error("{url} answers with status {status} and is no Tenantry control plane")]
    Strange {
        /// Who answered.
        url: String,
        /// With what HTTP status.
        status: u16,
    },
    /// The operator token has characters that no token has.
    #[error("the operator token has characters that cannot be sent")]
    TokenUnusable,
    /// The authority of the control plane's certificate is of no use.
    #[error("the certificate authority cannot be used: {why}")]
    AuthorityUnusable {
        /// Why.
        why: String,
    },
}

#[derive(Deserialize)]
struct ProblemDocument {
    #[serde(rename = "type")]
    problem_type: String,
    title: String,
    detail: Option<String>,
    hint: Option<String>,
}

impl ApiError {
    /// The problem's stable name, if there is one.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        match self {
            Self::Problem { kind, .. } => Some(kind),
            Self::Unreachable { .. }
            | Self::Strange { .. }
            | Self::TokenUnusable
            | Self::AuthorityUnusable { .. } => None,
        }
    }

    pub(super) fn unreachable(url: &str, error: &reqwest::Error) -> Self {
        // The innermost cause says it best: "connection refused".
        let mut cause: &dyn std::error::Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        let reason = cause.to_string().to_lowercase();
        let reason = reason.split(" (os error").next().unwrap_or_default().to_owned();
        Self::Unreachable { url: url.to_owned(), reason }
    }

    pub(super) fn strange(url: &str, status: u16) -> Self {
        Self::Strange { url: url.to_owned(), status }
    }

    pub(super) fn from_problem(url: &str, status: u16, body: &[u8]) -> Self {
        let Ok(document) = serde_json::from_slice::<ProblemDocument>(body) else {
            return Self::strange(url, status);
        };
        let kind = document.problem_type.strip_prefix(PROBLEM_PREFIX).unwrap_or(&document.problem_type);
        let message = match document.detail {
            Some(detail) => format!("{}: {detail}", document.title),
            None => document.title,
        };
        Self::Problem { status, kind: kind.to_owned(), message, hint: document.hint }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Unreachable { .. } => Exit::Unavailable,
            Self::TokenUnusable => Exit::Unauthorized,
            Self::AuthorityUnusable { .. } => Exit::Usage,
            Self::Strange { .. } => Exit::Failure,
            Self::Problem { status, .. } => match status {
                401 | 403 => Exit::Unauthorized,
                404 => Exit::NotFound,
                429 | 503 | 504 => Exit::Unavailable,
                400..=499 => Exit::Refused,
                _ => Exit::Failure,
            },
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { .. } => Some(
                "start one with \"tenantry dev\", or name another with --url and --token or --data-dir"
                    .to_owned(),
            ),
            Self::Problem { kind, hint, .. } => command_for(kind).map(str::to_owned).or_else(|| hint.clone()),
            Self::Strange { .. } => Some("check --url or TENANTRY_URL".to_owned()),
            Self::TokenUnusable => Some("check --token or TENANTRY_TOKEN".to_owned()),
            Self::AuthorityUnusable { .. } => Some("check --ca-file or TENANTRY_CA_FILE".to_owned()),
        }
    }
}

/// The API's hints speak of requests; whoever types commands is better served with one.
fn command_for(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "unauthorized" => "check --token or TENANTRY_TOKEN",
        "tenant-not-found" | "slug-taken" => "see \"tenantry tenant list\"",
        "cluster-not-found" | "cluster-exists" => "see \"tenantry cluster list\"",
        "region-unknown" | "region-exists" => "see \"tenantry region list\"",
        "no-capacity" => "see \"tenantry cluster list\", register another, or raise the capacity of one",
        "tenant-state" => "see \"tenantry tenant get\"",
        "operation-in-progress" => "see \"tenantry operation list --tenant\"",
        "operation-not-found" => "see \"tenantry operation list\"",
        "credential-not-found" => "see \"tenantry credential list\"",
        _ => return None,
    })
}

impl From<ApiError> for CommandError {
    fn from(error: ApiError) -> Self {
        let shown = Self::new(error.exit(), error.to_string());
        match error.hint() {
            Some(hint) => shown.hint(hint),
            None => shown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_becomes_a_line_a_hint_and_a_code() {
        let body = br#"{"type":"urn:tenantry:problem:slug-taken","title":"the slug is taken","status":409,
            "detail":"\"acme\" is in use","hint":"choose another slug","request_id":"r"}"#;
        let error = ApiError::from_problem("http://x", 409, body);
        assert_eq!(error.kind(), Some("slug-taken"));
        let shown = CommandError::from(error);
        assert_eq!(shown.exit, Exit::Refused);
        assert_eq!(
            shown.lines(),
            "error: the slug is taken: \"acme\" is in use\nhint: see \"tenantry tenant list\""
        );
    }

    #[test]
    fn somebody_else_on_the_port_is_not_taken_for_a_control_plane() {
        let error = ApiError::from_problem("http://x", 404, b"<html>");
        assert!(matches!(error, ApiError::Strange { status: 404, .. }));
    }
}
