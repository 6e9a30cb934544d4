//! Every way a request can be refused, in one table.
//!
//! A problem is an RFC 9457 document. Its `type` is stable: clients may switch on it, so a kind is never
//! renamed. The text is for people and may change. Nothing secret is ever put in one: the details are
//! written here or by the handlers, never copied from a driver's error that might repeat a DSN.

mod kind;

pub(super) use kind::ProblemKind;

use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tenancy::OperationId;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use uuid::Uuid;

/// What stands before a kind's name in `type`: a URN, because no address of ours has to resolve for it to be stable.
const TYPE_PREFIX: &str = "urn:tenantry:problem:";

/// One refused request.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    kind: ProblemKind,
    detail: Option<String>,
    hint: Option<String>,
    field: Option<String>,
    operation: Option<OperationId>,
}

/// A handler's result.
pub(super) type ApiResult<T> = Result<T, Problem>;

impl Problem {
    /// A problem without particulars.
    #[must_use]
    pub(super) const fn new(kind: ProblemKind) -> Self {
        Self { kind, detail: None, hint: None, field: None, operation: None }
    }

    /// Says what is wrong with this very request. Never a secret, never a driver's words.
    #[must_use]
    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Replaces the kind's hint by a better one.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names the field of the body that is wrong.
    #[must_use]
    pub(super) fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Names the operation that stands in the way.
    #[must_use]
    pub(super) const fn operation(mut self, operation: OperationId) -> Self {
        self.operation = Some(operation);
        self
    }

    /// The kind.
    #[must_use]
    pub(super) const fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// The body that the client receives.
    #[must_use]
    pub(super) fn document(&self, request_id: &str) -> ProblemDocument {
        ProblemDocument {
            problem_type: format!("{TYPE_PREFIX}{}", self.kind.name()),
            title: self.kind.title(),
            status: self.kind.status().as_u16(),
            detail: self.detail.clone(),
            hint: self.hint.clone().unwrap_or_else(|| self.kind.hint().to_owned()),
            field: self.field.clone(),
            operation_id: self.operation.map(OperationId::as_uuid),
            request_id: request_id.to_owned(),
        }
    }
}

impl From<ProblemKind> for Problem {
    fn from(kind: ProblemKind) -> Self {
        Self::new(kind)
    }
}

/// An RFC 9457 problem document.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemDocument {
    /// Which problem it is: stable, for programs.
    #[serde(rename = "type")]
    #[schema(schema_with = problem_types)]
    problem_type: String,
    /// The same short sentence for every occurrence.
    title: &'static str,
    /// The HTTP status, repeated.
    status: u16,
    /// What is wrong with this very request.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// What to do about it.
    hint: String,
    /// The field of the body that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// The operation that stands in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    operation_id: Option<Uuid>,
    /// The request, as the log knows it.
    request_id: String,
}

/// Every `type` there is, for the document.
fn problem_types() -> Object {
    let types = ProblemKind::ALL.iter().map(|kind| format!("{TYPE_PREFIX}{}", kind.name()));
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(types)).build()
}

/// Carries the problem to the outermost layer, which knows the request id and writes the body.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.kind.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_kind_has_a_name_of_its_own_and_reads_like_the_others() {
        let names: HashSet<_> = ProblemKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), ProblemKind::ALL.len());
        for kind in ProblemKind::ALL {
            assert!(kind.status().is_client_error() || kind.status().is_server_error(), "{kind:?}");
            assert!(kind.name().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{kind:?}");
            assert!(
                kind.title().starts_with(|c: char| c.is_lowercase()) && !kind.title().ends_with('.'),
                "{kind:?}"
            );
            assert!(!kind.hint().is_empty() && !kind.hint().ends_with('.'), "{kind:?}");
        }
    }

    #[test]
    fn the_document_has_the_members_of_rfc_9457() {
        let problem = Problem::new(ProblemKind::SlugTaken).detail("\"acme\" is in use").field("slug");
        let json = serde_json::to_value(problem.document("r-1")).unwrap();
        assert_eq!(json["type"], "urn:tenantry:problem:slug-taken");
        assert_eq!(json["status"], 409);
        assert_eq!(json["field"], "slug");
        assert_eq!(json["request_id"], "r-1");
        assert!(json.get("operation_id").is_none());
    }
}
