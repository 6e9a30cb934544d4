//! Regions: where clusters and gateways stand.

use super::caller::{Caller, ChangeHeaders};
use super::document::Problems;
use super::extract::{Body, Named, field};
use super::mutation::{Begun, Mutation, shown};
use super::pagination::Page;
use super::problem::{ApiResult, Problem, ProblemKind};
use crate::context::ApiState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::RegionRecord;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenancy::RegionName;
use utoipa::ToSchema;

/// The longest jurisdiction: a name such as `EU` or `California, USA`.
const JURISDICTION_CHARS_MAX: usize = 100;

/// A region.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Region {
    /// Its name.
    #[schema(example = "eu")]
    name: String,
    /// Whose law applies there.
    #[schema(example = "EU")]
    jurisdiction: String,
    /// When it was registered.
    created_at: Timestamp,
}

impl From<RegionRecord> for Region {
    fn from(record: RegionRecord) -> Self {
        let RegionRecord { name, jurisdiction, created_at } = record;
        Self { name: name.into(), jurisdiction, created_at }
    }
}

/// A region to register.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RegionCreate {
    /// Its name: lower-case letters, digits and hyphens.
    #[schema(example = "eu")]
    name: String,
    /// Whose law applies there; the region's name if left out.
    jurisdiction: Option<String>,
}

/// Register a region.
#[utoipa::path(
    post, path = "/v1/regions", tag = "regions", params(ChangeHeaders), request_body = RegionCreate,
    responses((status = 201, description = "Registered", body = Region), Problems)
)]
pub(super) async fn region_create(
    State(state): State<ApiState>,
    caller: Caller,
    body: Body<RegionCreate>,
) -> ApiResult<Response> {
    let name: RegionName = field("name", &body.value.name)?;
    let jurisdiction = body.value.jurisdiction.unwrap_or_else(|| name.to_string());
    let length_fits =
        !jurisdiction.trim().is_empty() && jurisdiction.chars().count() <= JURISDICTION_CHARS_MAX;
    if !length_fits || jurisdiction.chars().any(char::is_control) {
        let detail =
            format!("a jurisdiction has 1 to {JURISDICTION_CHARS_MAX} characters, none a control character");
        return Err(Problem::new(ProblemKind::InvalidField).detail(detail).field("jurisdiction"));
    }
    let mut change = match Mutation::begin(&state, &caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let region = change.tx.region_create(&name, &jurisdiction).await?;
    change.finish(StatusCode::CREATED, &Region::from(region)).await
}

/// List the regions.
#[utoipa::path(
    get, path = "/v1/regions", tag = "regions",
    responses((status = 200, description = "All regions, by name", body = Page<Region>), Problems)
)]
pub(super) async fn region_list(State(state): State<ApiState>) -> ApiResult<Response> {
    let regions = state.catalog.regions().await?;
    shown(&Page::whole(regions.into_iter().map(Region::from).collect()))
}

/// Show a region.
#[utoipa::path(
    get, path = "/v1/regions/{region}", tag = "regions", params(("region" = String, Path, description = "Its name")),
    responses((status = 200, description = "The region", body = Region), Problems)
)]
pub(super) async fn region_get(
    State(state): State<ApiState>,
    Named(name): Named<String>,
) -> ApiResult<Response> {
    let name: RegionName = name.parse().map_err(|_| ProblemKind::RegionNotFound)?;
    let region = state.catalog.region_get(&name).await?.ok_or(ProblemKind::RegionNotFound)?;
    shown(&Region::from(region))
}
