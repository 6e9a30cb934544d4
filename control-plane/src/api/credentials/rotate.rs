//! Rotation: a new credential beside the old one, which ends by itself once everybody has changed over.

use super::super::authority::Authority;
use super::super::caller::{Caller, ChangeHeaders};
use super::super::document::Problems;
use super::super::extract::{Body, Named};
use super::super::mutation::{Begun, Mutation};
use super::super::problem::{ApiResult, Problem, ProblemKind};
use super::super::tenants;
use super::{Credential, Handover, gets_credentials, issue};
use crate::context::ApiState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::CredentialDetail;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tenancy::CredentialId;
use utoipa::ToSchema;

/// How long the old one stays good when nobody says: a day, so that a deployment has its time.
const KEEP_S_DEFAULT: u32 = 24 * 60 * 60;

/// The longest that both are good.
const KEEP_S_MAX: u32 = 30 * 24 * 60 * 60;

/// How to rotate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct CredentialRotate {
    /// For how many seconds the old credential stays good; a day if left out, 0 to end it at once.
    #[schema(minimum = 0, maximum = 2_592_000, default = 86_400)]
    keep_old_s: Option<u32>,
    /// From when on the new one opens nothing; if left out, it lasts as long as the old one was made for.
    expires_at: Option<Timestamp>,
}

/// The new credential with its secret, and the one that it replaces.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct CredentialRotated {
    /// The new one.
    credential: Credential,
    /// The old one, with its end.
    replaced: Credential,
    /// Shown once, in this answer.
    #[serde(flatten)]
    handover: Handover,
}

/// Make a credential that takes another's place, and show it, once. Both are good for a while.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/credentials/{credential}/rotate", tag = "credentials",
    request_body = CredentialRotate,
    params(
        ("tenant" = String, Path, description = "The tenant's id or slug"),
        ("credential" = uuid::Uuid, Path, description = "The id of the one to replace"),
        ChangeHeaders
    ),
    responses((status = 201, description = "Made", body = CredentialRotated), Problems)
)]
pub(in super::super) async fn credential_rotate(
    State(state): State<ApiState>,
    Named((tenant, credential)): Named<(String, String)>,
    caller: Caller,
    body: Body<CredentialRotate>,
) -> ApiResult<Response> {
    let credential: CredentialId = credential.parse().map_err(|_| ProblemKind::CredentialNotFound)?;
    let keep = check(&body.value)?;
    let mut change = match Mutation::begin(&state, &caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let tenant = tenants::find(&state, &tenant).await?;
    gets_credentials(&tenant)?;
    let old = state.catalog.credential_get(tenant.id, credential).await?;
    let old = old.filter(is_live).ok_or(ProblemKind::CredentialNotFound)?;
    // Whoever rotates gets the secret of what they rotate.
    let authority = Authority::of(&caller, &mut change.tx, tenant.id).await?;
    authority.covers(old.scope.permissions(old.role))?;
    let expires_at = body.value.expires_at.or_else(|| as_long_as(&old));
    let ([credential, replaced], handover) =
        issue::reissue(&state, &mut change.tx, &tenant, &old, expires_at, keep).await?;
    let rotated = CredentialRotated { credential: credential.into(), replaced: replaced.into(), handover };
    change.finish(StatusCode::CREATED, &rotated).await
}

fn check(value: &CredentialRotate) -> ApiResult<Duration> {
    let invalid =
        |field: &str, detail: String| Problem::new(ProblemKind::InvalidField).detail(detail).field(field);
    if value.expires_at.is_some_and(|at| at <= Timestamp::now()) {
        return Err(invalid("expires_at", "expires_at is in the past".to_owned()));
    }
    let keep = value.keep_old_s.unwrap_or(KEEP_S_DEFAULT);
    if keep > KEEP_S_MAX {
        return Err(invalid("keep_old_s", format!("keep_old_s is 0 to {KEEP_S_MAX}")));
    }
    Ok(Duration::from_secs(keep.into()))
}

fn is_live(credential: &CredentialDetail) -> bool {
    credential.revoked_at.is_none() && credential.expires_at.is_none_or(|at| at > Timestamp::now())
}

fn as_long_as(old: &CredentialDetail) -> Option<Timestamp> {
    let lasts: SignedDuration = old.expires_at?.duration_since(old.created_at);
    Timestamp::now().checked_add(lasts).ok()
}
