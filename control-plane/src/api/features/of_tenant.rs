//! What a tenant has of the features, and why.

use super::super::caller::{Caller, ChangeHeaders};
use super::super::document::Problems;
use super::super::extract::{Body, Named};
use super::super::mutation::{Begun, Mutation, shown};
use super::super::pagination::Page;
use super::super::problem::ApiResult;
use super::super::tenants;
use super::named;
use crate::context::ApiState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::{OwnFeature, TenantRecord};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A feature, and whether a tenant has it.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct TenantFeature {
    /// The feature's name.
    #[schema(example = "beta-search")]
    feature: String,
    /// What it is.
    description: String,
    /// Whether the tenant has it.
    enabled: bool,
    /// Why: `tenant`, `plan`, `percentage` or `default`.
    reason: &'static str,
    /// Until when what was said of the tenant itself holds.
    expires_at: Option<Timestamp>,
}

/// What is said of one tenant and one feature.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct TenantFeatureSet {
    /// Whether the tenant has it.
    enabled: bool,
    /// From when on this says nothing; it holds for ever if it is left out.
    expires_at: Option<Timestamp>,
}

/// What was said, or is said no more.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct TenantFeatureChange {
    /// The feature's name.
    feature: String,
    /// Whether the tenant has it; null if its plan and the feature's own settings say so again.
    enabled: Option<bool>,
    /// From when on this says nothing.
    expires_at: Option<Timestamp>,
}

/// List the features, and which of them a tenant has.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/features", tag = "features",
    params(("tenant" = String, Path, description = "Its id or slug")),
    responses((status = 200, description = "All of them, by name", body = Page<TenantFeature>), Problems)
)]
pub(in super::super) async fn tenant_feature_list(
    State(state): State<ApiState>,
    Named(tenant): Named<String>,
) -> ApiResult<Response> {
    let tenant = tenants::find(&state, &tenant).await?;
    let own = state.catalog.features_of(tenant.id).await?;
    let features = state.catalog.features().await?;
    let told = features.into_iter().map(|feature| {
        let own = own.iter().find(|own| own.feature == feature.name);
        let said = own.map(|own| own.is_on);
        let TenantRecord { id, plan, .. } = &tenant;
        let (enabled, reason) = feature.rollout.decide(feature.name.as_str(), *id, plan, said);
        TenantFeature {
            feature: feature.name.into(),
            description: feature.description,
            enabled,
            reason: reason.as_str(),
            expires_at: own.and_then(|own| own.expires_at),
        }
    });
    shown(&Page::whole(told.collect()))
}

/// Give a feature to one tenant, or take it from it, whatever its plan says.
#[utoipa::path(
    put, path = "/v1/tenants/{tenant}/features/{feature}", tag = "features", request_body = TenantFeatureSet,
    params(
        ("tenant" = String, Path, description = "The tenant's id or slug"),
        ("feature" = String, Path, description = "The feature's name"),
        ChangeHeaders
    ),
    responses((status = 200, description = "Said", body = TenantFeatureChange), Problems)
)]
pub(in super::super) async fn tenant_feature_set(
    State(state): State<ApiState>,
    Named((tenant, feature)): Named<(String, String)>,
    caller: Caller,
    body: Body<TenantFeatureSet>,
) -> ApiResult<Response> {
    let TenantFeatureSet { enabled: is_on, expires_at } = body.value;
    let own = OwnFeature { feature: named(&feature)?, is_on, expires_at };
    let mut change = match Mutation::begin(&state, &caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let tenant = tenants::find(&state, &tenant).await?;
    change.tx.tenant_feature_set(tenant.id, &own).await?;
    let said = TenantFeatureChange { feature: own.feature.into(), enabled: Some(is_on), expires_at };
    change.finish(StatusCode::OK, &said).await
}

/// Take back what was said of one tenant and one feature.
#[utoipa::path(
    delete, path = "/v1/tenants/{tenant}/features/{feature}", tag = "features",
    params(
        ("tenant" = String, Path, description = "The tenant's id or slug"),
        ("feature" = String, Path, description = "The feature's name"),
        ChangeHeaders
    ),
    responses((status = 200, description = "Taken back", body = TenantFeatureChange), Problems)
)]
pub(in super::super) async fn tenant_feature_clear(
    State(state): State<ApiState>,
    Named((tenant, feature)): Named<(String, String)>,
    caller: Caller,
) -> ApiResult<Response> {
    let feature = named(&feature)?;
    let mut change = match Mutation::begin(&state, &caller, &[]).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let tenant = tenants::find(&state, &tenant).await?;
    change.tx.tenant_feature_delete(tenant.id, &feature).await?;
    let said = TenantFeatureChange { feature: feature.into(), enabled: None, expires_at: None };
    change.finish(StatusCode::OK, &said).await
}
