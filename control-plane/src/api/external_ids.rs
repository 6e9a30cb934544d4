//! What identity providers call tenants, such as the ids of Clerk's organizations. Whoever ties a name to a tenant sends
//! all who carry it there, so it is the operator's to do.

use super::caller::{Caller, ChangeHeaders};
use super::document::Problems;
use super::extract::{Body, Named, field};
use super::mutation::{Begun, Mutation, shown};
use super::pagination::Page;
use super::problem::{ApiResult, Problem, ProblemKind};
use super::tenants;
use crate::context::ApiState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::ExternalIdRecord;
use identity::shape::EXTERNAL_ID_MAX;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenancy::IssuerId;
use utoipa::ToSchema;
use uuid::Uuid;

/// An identity provider's own name for a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ExternalId {
    /// Whose name it is.
    issuer_id: Uuid,
    /// The name.
    #[schema(example = "org_2abcDEF")]
    external_id: String,
    /// The tenant that it stands for.
    tenant_id: Uuid,
    /// Since when.
    created_at: Timestamp,
}

impl From<ExternalIdRecord> for ExternalId {
    fn from(record: ExternalIdRecord) -> Self {
        Self {
            issuer_id: record.id.issuer.as_uuid(),
            external_id: record.id.external,
            tenant_id: record.tenant.as_uuid(),
            created_at: record.created_at,
        }
    }
}

/// A name to tie to a tenant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExternalIdCreate {
    /// The issuer that uses it: the installation's, or the tenant's own.
    issuer_id: String,
    /// The name, as it stands in the issuer's tokens.
    #[schema(example = "org_2abcDEF")]
    external_id: String,
}

/// Say what an issuer calls a tenant. Saying it again changes nothing.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/external-ids", tag = "issuers", request_body = ExternalIdCreate,
    params(("tenant" = String, Path, description = "Its id or slug"), ChangeHeaders),
    responses((status = 201, description = "Tied to the tenant", body = ExternalId), Problems)
)]
pub(super) async fn external_id_create(
    State(state): State<ApiState>,
    Named(tenant): Named<String>,
    caller: Caller,
    body: Body<ExternalIdCreate>,
) -> ApiResult<Response> {
    let id = catalog_schema::ExternalId {
        issuer: field("issuer_id", &body.value.issuer_id)?,
        external: checked(body.value.external_id)?,
    };
    let mut change = match Mutation::begin(&state, &caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let tenant = tenants::find(&state, &tenant).await?;
    let tied = change.tx.external_id_set(tenant.id, &id).await?;
    change.finish(StatusCode::CREATED, &ExternalId::from(tied)).await
}

/// List what issuers call a tenant.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/external-ids", tag = "issuers",
    params(("tenant" = String, Path, description = "Its id or slug")),
    responses((status = 200, description = "All of them, by age", body = Page<ExternalId>), Problems)
)]
pub(super) async fn external_id_list(
    State(state): State<ApiState>,
    Named(tenant): Named<String>,
) -> ApiResult<Response> {
    let tenant = tenants::find(&state, &tenant).await?;
    let ids = state.catalog.external_ids(tenant.id).await?;
    shown(&Page::whole(ids.into_iter().map(ExternalId::from).collect()))
}

/// Untie a name from a tenant: who carries it is let in no more.
#[utoipa::path(
    delete, path = "/v1/tenants/{tenant}/external-ids/{issuer}/{external_id}", tag = "issuers",
    params(
        ("tenant" = String, Path, description = "Its id or slug"),
        ("issuer" = String, Path, description = "The issuer's id"),
        ("external_id" = String, Path, description = "The name"),
        ChangeHeaders
    ),
    responses((status = 200, description = "Untied", body = ExternalId), Problems)
)]
pub(super) async fn external_id_delete(
    State(state): State<ApiState>,
    Named((tenant, issuer, external)): Named<(String, String, String)>,
    caller: Caller,
) -> ApiResult<Response> {
    let issuer: IssuerId = issuer.parse().map_err(|_| Problem::from(ProblemKind::ExternalIdNotFound))?;
    let mut change = match Mutation::begin(&state, &caller, &[]).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let tenant = tenants::find(&state, &tenant).await?;
    let id = catalog_schema::ExternalId { issuer, external };
    let untied = change.tx.external_id_remove(tenant.id, &id).await?;
    change.finish(StatusCode::OK, &ExternalId::from(untied)).await
}

fn checked(text: String) -> ApiResult<String> {
    if (1..=EXTERNAL_ID_MAX).contains(&text.len()) && !text.chars().any(char::is_control) {
        return Ok(text);
    }
    let detail = format!("external_id is 1 to {EXTERNAL_ID_MAX} bytes, none of them control characters");
    Err(Problem::new(ProblemKind::InvalidField).detail(detail).field("external_id"))
}
