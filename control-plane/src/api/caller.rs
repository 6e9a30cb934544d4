//! Who asks, and under which conditions: what handlers need of a request beside its body.

use super::auth::{ActsIn, Principal, Reach};
use super::observe::RequestId;
use super::preconditions::expected_version;
use super::problem::{ApiResult, Problem, ProblemKind};
use super::tenants;
use crate::context::ApiState;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use catalog_schema::Context;
use tenancy::{Permission, TenantId};
use utoipa::IntoParams;

/// The header's name, per the IETF's draft-ietf-httpapi-idempotency-key-header.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The longest key: UUIDs and hashes fit.
const KEY_BYTES_MAX: usize = 255;

/// A request's sender and conditions.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) context: Context,
    /// Who asks.
    pub(super) principal: Principal,
    /// The tenant that was decided about, unless everything is allowed.
    pub(super) acts_in: Option<ActsIn>,
    pub(super) method: Method,
    /// Path and query, which belong to what makes two requests the same.
    pub(super) target: String,
    pub(super) idempotency_key: Option<String>,
    /// The version that the client has read.
    pub(super) expected_version: Option<i64>,
}

impl Caller {
    /// The tenants of which a listing shows something to this caller; none stands for all.
    pub(super) fn among(&self, permission: Permission) -> Option<Vec<TenantId>> {
        match self.principal.reach(permission) {
            Reach::All => None,
            Reach::Only(tenants) => Some(tenants),
        }
    }

    /// The tenant that a query names. To whoever may not see it there is no such tenant.
    pub(super) async fn tenant(
        &self,
        state: &ApiState,
        text: &str,
        permission: Permission,
    ) -> ApiResult<TenantId> {
        let tenant = tenants::find(state, text).await?.id;
        let held = self.principal.permissions_in(tenant);
        if held.is_some_and(|held| held.contains(permission)) {
            return Ok(tenant);
        }
        Err(ProblemKind::TenantNotFound.into())
    }

    /// Refuses everybody but the operator to set `field`.
    pub(super) fn operator_sets(&self, field: &str) -> ApiResult<()> {
        if self.principal == Principal::Operator {
            return Ok(());
        }
        let detail = format!("only the operator sets \"{field}\"");
        Err(Problem::new(ProblemKind::Forbidden).detail(detail).field(field))
    }
}

/// The headers that a change may carry, for the document.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes the headers; Caller reads them")]
pub(super) struct ChangeHeaders {
    /// Any text of at most 255 characters, new for each request. The same request with the same key is done
    /// once and answered alike for 24 hours.
    #[param(rename = "Idempotency-Key", max_length = 255)]
    idempotency_key: Option<String>,
}

/// The header that a change of something read before may carry, for the document.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes the header; Caller reads it")]
pub(super) struct ConditionHeaders {
    /// The `ETag` that was read: the change is made on top of that version or not at all.
    #[param(rename = "If-Match", example = "\"3\"")]
    if_match: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.0.to_string()).unwrap_or_default();
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        // Only a route that is open to everybody has none, and what it does is nobody's in particular.
        let principal = parts.extensions.get::<Principal>().cloned().ok_or(ProblemKind::Unauthorized)?;
        Ok(Self {
            context: Context { actor: principal.actor(), request_id },
            principal,
            acts_in: parts.extensions.get().copied(),
            method: parts.method.clone(),
            target: target.to_owned(),
            idempotency_key: idempotency_key(&parts.headers)?,
            expected_version: expected_version(&parts.headers)?,
        })
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().unwrap_or_default().trim();
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        let detail = format!("Idempotency-Key is 1 to {KEY_BYTES_MAX} visible ASCII characters");
        return Err(Problem::new(ProblemKind::InvalidHeader).detail(detail));
    }
    Ok(Some(key.to_owned()))
}
