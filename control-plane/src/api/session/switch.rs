//! Gateway tokens: for a tenant that one belongs to, and for a few minutes.

use super::super::caller::Caller;
use super::super::document::Problems;
use super::super::extract::Body;
use super::super::mutation::shown;
use super::super::problem::{ApiResult, ProblemKind};
use super::super::refusal::internal;
use crate::context::ApiState;
use crate::people::signing::{self, Statement};
use crate::reconcile::signing_keys;
use axum::extract::State;
use axum::response::Response;
use catalog_schema::{CatalogError, SigningKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenancy::{Access, TenantId};
use utoipa::ToSchema;
use uuid::Uuid;

/// The tenant that a token is wanted for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct SessionSwitch {
    /// Its id or slug.
    #[schema(example = "acme")]
    tenant: String,
}

/// A gateway token.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct GatewayToken {
    /// What gateways take: as `Authorization: Bearer`, or as the password over TLS.
    token: String,
    /// From when on they do not. Ask for another in time.
    expires_at: Timestamp,
    /// The tenant that it is for.
    tenant: Uuid,
    /// What one is there.
    role: String,
    /// What it opens the tenant's database for: `owner`, `write` or `read`.
    #[schema(value_type = String)]
    access: Access,
}

/// Get a gateway token for a tenant that one belongs to.
#[utoipa::path(
    post, path = "/v1/session/switch", tag = "session", request_body = SessionSwitch,
    responses((status = 200, description = "A token", body = GatewayToken), Problems)
)]
pub(in super::super) async fn session_switch(
    State(state): State<ApiState>,
    caller: Caller,
    body: Body<SessionSwitch>,
) -> ApiResult<Response> {
    let signed_in = caller.signed_in()?;
    let tenant = own_tenant(&state, &caller, &body.value.tenant).await?;
    let key = signing_key(&state).await?;
    let lasts = state.people.config.gateway_token();
    let mut tx = state.catalog.begin(&caller.context).await?;
    let grant = match tx.token_grant(signed_in.session, tenant, lasts).await {
        Err(CatalogError::NotFound { what: "session" }) => return Err(ProblemKind::Unauthorized.into()),
        granted => granted?,
    };
    let access = grant.role.permissions().access().ok_or(ProblemKind::NoDataAccess)?;
    tx.commit().await?;
    let statement = Statement {
        id: Uuid::now_v7(),
        user: signed_in.user,
        tenant,
        access,
        session: signed_in.session,
        session_ends: grant.session_ends,
        issued_at: grant.issued_at,
        expires_at: grant.until,
    };
    tracing::info!(
        user = %signed_in.user, tenant = %tenant, access = %access, session = %signed_in.session, jti = %statement.id,
        "a gateway token is issued"
    );
    let token = signing::sign(&key, &statement).map_err(|error| internal(&error))?;
    shown(&GatewayToken {
        token: token.expose().to_owned(),
        expires_at: grant.until,
        tenant: tenant.as_uuid(),
        role: grant.role.name().to_owned(),
        access,
    })
}

/// The tenant of one's own that `text` names. Another's and one that does not exist are one.
async fn own_tenant(state: &ApiState, caller: &Caller, text: &str) -> ApiResult<TenantId> {
    let named = match (text.parse::<TenantId>(), text.parse()) {
        (Ok(id), _) => Some(id),
        (Err(_), Ok(slug)) => state.catalog.tenant_by_slug(&slug).await?.map(|tenant| tenant.id),
        (Err(_), Err(_)) => None,
    };
    let own = named.filter(|tenant| caller.principal.permissions_in(*tenant).is_some());
    own.ok_or_else(|| ProblemKind::TenantNotFound.into())
}

/// The key that signs now. There is always one, but for the moment in which a new catalog has none.
async fn signing_key(state: &ApiState) -> ApiResult<SigningKey> {
    if let Some(key) = state.catalog.signing_key().await? {
        return Ok(key);
    }
    signing_keys::ensure(&state.catalog).await.map_err(|error| internal(&error))?;
    Ok(state.catalog.signing_key().await?.ok_or(ProblemKind::CatalogUnavailable)?)
}
