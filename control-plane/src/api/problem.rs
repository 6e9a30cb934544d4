//! Every way a request can be refused, in one table.
//!
//! A problem is an RFC 9457 document. Its `type` is stable: clients may switch on it, so a kind is never
//! renamed. The text is for people and may change. Nothing secret is ever put in one: the details are
//! written here or by the handlers, never copied from a driver's error that might repeat a DSN.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tenancy::OperationId;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use uuid::Uuid;

/// What stands before a kind's name in `type`: a URN, because no address of ours has to resolve for it to be stable.
const TYPE_PREFIX: &str = "urn:tenantry:problem:";

macro_rules! problem_kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $status:ident, $title:literal, $hint:literal;)*) => {
        /// The kinds of problem that the API answers with.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(super) enum ProblemKind { $($(#[$doc])* $kind,)* }

        impl ProblemKind {
            /// Every kind, so that the table can be checked and documented.
            pub(super) const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The last part of `type`.
            #[must_use]
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// The HTTP status.
            #[must_use]
            pub(super) const fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status,)* }
            }

            /// The same short sentence for every occurrence.
            #[must_use]
            pub(super) const fn title(self) -> &'static str {
                match self { $(Self::$kind => $title,)* }
            }

            /// What to do about it, where no occurrence knows better.
            #[must_use]
            pub(super) const fn hint(self) -> &'static str {
                match self { $(Self::$kind => $hint,)* }
            }
        }
    };
}

problem_kinds! {
    /// No operator token, or a wrong one.
    Unauthorized = "unauthorized", UNAUTHORIZED, "the operator token is missing or wrong",
        "send it as \"Authorization: Bearer <token>\"";
    /// No such path.
    NotFound = "not-found", NOT_FOUND, "there is nothing at this path", "see /openapi.json for what there is";
    /// The path is right, the method is not.
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "this path does not take this method",
        "see /openapi.json for what it takes";
    /// The body is not JSON.
    MalformedBody = "malformed-body", BAD_REQUEST, "the body is not valid JSON", "send one JSON object";
    /// The body is of another type than JSON.
    UnsupportedMediaType = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "the body is not declared as JSON",
        "send \"Content-Type: application/json\"";
    /// The body is larger than the limit.
    BodyTooLarge = "body-too-large", PAYLOAD_TOO_LARGE, "the body is too large", "no request needs a body this large";
    /// The headers are larger than the limit.
    HeadersTooLarge = "headers-too-large", REQUEST_HEADER_FIELDS_TOO_LARGE, "the headers are too large",
        "send fewer or shorter headers";
    /// The body names a field that does not exist.
    UnknownField = "unknown-field", UNPROCESSABLE_ENTITY, "the body names an unknown field",
        "check the spelling; an unknown field is never ignored";
    /// A field is missing, of the wrong type, or out of range.
    InvalidField = "invalid-field", UNPROCESSABLE_ENTITY, "a field is not valid", "see /openapi.json for its form";
    /// The slug breaks the naming rules.
    SlugInvalid = "slug-invalid", UNPROCESSABLE_ENTITY, "the slug is not valid",
        "use lower-case letters, digits and single hyphens, such as \"acme-eu\"";
    /// The query string is wrong.
    InvalidQuery = "invalid-query", BAD_REQUEST, "the query string is not valid", "see /openapi.json for its parameters";
    /// The cursor is none that a listing gave out.
    InvalidCursor = "invalid-cursor", BAD_REQUEST, "the cursor is not valid",
        "pass next_cursor of the page before, unchanged, or leave it out";
    /// A header is wrong.
    InvalidHeader = "invalid-header", BAD_REQUEST, "a header is not valid", "see /openapi.json for its form";
    /// No region of this name is known.
    RegionNotFound = "region-not-found", NOT_FOUND, "there is no such region", "list them with GET /v1/regions";
    /// The body names a region that is not known.
    RegionUnknown = "region-unknown", UNPROCESSABLE_ENTITY, "the region is not known",
        "list the regions with GET /v1/regions, or create it first";
    /// The region exists.
    RegionExists = "region-exists", CONFLICT, "the region exists already", "choose another name";
    /// The tenant may not be placed in this region.
    RegionNotAllowed = "region-not-allowed", UNPROCESSABLE_ENTITY, "the tenant's allowed regions leave this region out",
        "choose one of allowed_regions, or add the region to them";
    /// No such cluster.
    ClusterNotFound = "cluster-not-found", NOT_FOUND, "there is no such cluster", "list them with GET /v1/clusters";
    /// The name or the server is registered.
    ClusterExists = "cluster-exists", CONFLICT, "the cluster is registered already",
        "a server is registered once, under one name";
    /// The DSN cannot be used as one.
    ClusterDsnInvalid = "cluster-dsn-invalid", UNPROCESSABLE_ENTITY, "the admin DSN is not usable",
        "give postgres://user:password@host:port/postgres with one host";
    /// The server does not answer or refuses the login.
    ClusterUnreachable = "cluster-unreachable", UNPROCESSABLE_ENTITY, "the cluster cannot be reached",
        "check host, port, user and password, and that the server lets this host in";
    /// The server is too old.
    ClusterVersion = "cluster-version", UNPROCESSABLE_ENTITY, "the cluster's PostgreSQL is too old",
        "upgrade the server to PostgreSQL 15 or newer";
    /// The admin role may not do what is needed.
    ClusterPrivileges = "cluster-privileges", UNPROCESSABLE_ENTITY, "the admin role lacks privileges",
        "ALTER ROLE … CREATEDB CREATEROLE, or use a superuser";
    /// The server is a standby.
    ClusterReadOnly = "cluster-read-only", UNPROCESSABLE_ENTITY, "the cluster is a standby",
        "register the primary: databases cannot be created on a standby";
    /// No cluster can take one more tenant.
    NoCapacity = "no-capacity", CONFLICT, "no cluster can take the tenant",
        "register a cluster in the region, or raise the capacity of one";
    /// No such tenant.
    TenantNotFound = "tenant-not-found", NOT_FOUND, "there is no such tenant", "list them with GET /v1/tenants";
    /// Another living tenant has the slug.
    SlugTaken = "slug-taken", CONFLICT, "the slug is taken", "choose another slug";
    /// No such plan.
    PlanUnknown = "plan-unknown", UNPROCESSABLE_ENTITY, "the plan is not known", "use free, standard or enterprise";
    /// This isolation level is not offered yet.
    IsolationNotAvailable = "isolation-not-available", UNPROCESSABLE_ENTITY, "the isolation level is not available yet",
        "use \"database\"";
    /// The tenant's state does not allow it.
    TenantState = "tenant-state", CONFLICT, "the tenant's state does not allow this",
        "see the tenant's state with GET /v1/tenants/{tenant}";
    /// The tenant has an unfinished operation.
    OperationInProgress = "operation-in-progress", CONFLICT, "the tenant has an unfinished operation",
        "wait for it, or cancel it, and try again";
    /// The thing has changed since it was read.
    StaleVersion = "stale-version", PRECONDITION_FAILED, "the tenant has changed since it was read",
        "read it again and repeat the change with its new ETag";
    /// No such credential.
    CredentialNotFound = "credential-not-found", NOT_FOUND, "there is no such credential",
        "list them with GET /v1/tenants/{tenant}/credentials";
    /// There are as many as there may be.
    LimitReached = "limit-reached", CONFLICT, "there are as many of these as there may be",
        "remove one that is not needed any more";
    /// Credentials of this role are not offered yet.
    RoleNotAvailable = "role-not-available", UNPROCESSABLE_ENTITY, "credentials of this role are not available yet",
        "use \"owner\"";
    /// No such operation.
    OperationNotFound = "operation-not-found", NOT_FOUND, "there is no such operation",
        "list them with GET /v1/operations";
    /// The operation has ended.
    OperationFinished = "operation-finished", CONFLICT, "the operation has finished", "there is nothing left to cancel";
    /// The operation cannot be undone any more.
    OperationNotCancellable = "operation-not-cancellable", CONFLICT,
        "the operation is past its point of no return", "wait for it to finish";
    /// The key was used for another request.
    IdempotencyKeyReused = "idempotency-key-reused", UNPROCESSABLE_ENTITY,
        "the idempotency key was used for a different request", "use a new key for a new request";
    /// The first request with this key has not ended.
    IdempotencyKeyInFlight = "idempotency-key-in-flight", CONFLICT,
        "a request with this idempotency key is still being worked on", "try again in a moment, with the same key";
    /// Too many progress streams are open.
    TooManyStreams = "too-many-streams", SERVICE_UNAVAILABLE, "too many progress streams are open",
        "poll GET /v1/operations/{operation} instead";
    /// The request took too long.
    RequestTimeout = "request-timeout", GATEWAY_TIMEOUT, "the request took too long",
        "try again; with the same Idempotency-Key nothing is done twice";
    /// The catalog cannot be reached.
    CatalogUnavailable = "catalog-unavailable", SERVICE_UNAVAILABLE, "the catalog cannot be reached",
        "try again in a moment; tenants that are in use are served meanwhile";
    /// A mistake of ours.
    Internal = "internal", INTERNAL_SERVER_ERROR, "something went wrong inside the control plane",
        "look for the request id in the control plane's log";
}

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
