//! Features: registered, rolled out, removed. What single tenants have of them is in [`of_tenant`].

mod of_tenant;

pub(super) use of_tenant::*;

use super::caller::{Caller, ChangeHeaders, ConditionHeaders};
use super::document::Problems;
use super::extract::{Body, Named, field};
use super::mutation::{Begun, Mutation, shown};
use super::pagination::Page;
use super::problem::{ApiResult, Problem, ProblemKind};
use crate::context::ApiState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::{FeatureRecord, FeatureSettings};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tenancy::{FeatureName, Percentage, PlanName, Rollout};
use utoipa::ToSchema;

/// The longest description, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 1_000;

/// A feature, and who has it. The first of these that says anything is heeded: the tenant's own, its plan's, the
/// percentage, the default.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Feature {
    /// Its name.
    #[schema(example = "beta-search")]
    name: String,
    /// What it is, for people.
    description: String,
    /// Whether tenants have it of whom nothing else is said.
    default: bool,
    /// The part of tenants that has it all the same, in percent.
    #[schema(maximum = 100)]
    percentage: u8,
    /// Plans that have it, or have it not, whatever else is said of it.
    plans: BTreeMap<String, bool>,
    /// The gateway itself asks for it; it cannot be removed.
    built_in: bool,
    /// Its version; also the `ETag`.
    version: i64,
    /// When it was registered.
    created_at: Timestamp,
    /// When it changed last.
    updated_at: Timestamp,
}

impl From<FeatureRecord> for Feature {
    fn from(record: FeatureRecord) -> Self {
        let Rollout { by_default, percentage, plans } = record.rollout;
        Self {
            name: record.name.into(),
            description: record.description,
            default: by_default,
            percentage: percentage.into(),
            plans: plans.into_iter().map(|(plan, is_on)| (plan.into(), is_on)).collect(),
            built_in: record.built_in,
            version: record.version,
            created_at: record.created_at,
            updated_at: record.updated_at,
        }
    }
}

/// A feature to register.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FeatureCreate {
    /// Its name: lower-case letters, digits and single hyphens.
    #[schema(example = "beta-search")]
    name: String,
    /// What it is, for people.
    #[serde(default)]
    #[schema(max_length = 1_000)]
    description: String,
    /// Whether tenants have it of whom nothing else is said.
    #[serde(default)]
    default: bool,
    /// The part of tenants that has it all the same, in percent.
    #[serde(default)]
    #[schema(maximum = 100)]
    percentage: u8,
    /// Plans that have it, or have it not.
    #[serde(default)]
    plans: BTreeMap<String, bool>,
}

/// What is to change; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FeatureUpdate {
    /// What it is, for people.
    #[schema(max_length = 1_000)]
    description: Option<String>,
    /// Whether tenants have it of whom nothing else is said.
    default: Option<bool>,
    /// The part of tenants that has it all the same, in percent. Who has it by this has it by every higher one.
    #[schema(maximum = 100)]
    percentage: Option<u8>,
    /// Plans that have it, or have it not; null for a plan of which nothing is to be said any more.
    #[serde(default)]
    plans: BTreeMap<String, Option<bool>>,
}

/// Register a feature.
#[utoipa::path(
    post, path = "/v1/features", tag = "features", params(ChangeHeaders), request_body = FeatureCreate,
    responses((status = 201, description = "Registered", body = Feature), Problems)
)]
pub(super) async fn feature_create(
    State(state): State<ApiState>,
    caller: Caller,
    body: Body<FeatureCreate>,
) -> ApiResult<Response> {
    let FeatureCreate { name, description, default, percentage: percent, plans } = body.value;
    let name: FeatureName = field("name", &name)?;
    let plans = plans.into_iter().map(|(plan, is_on)| Ok((plan_named(&plan)?, is_on)));
    let rollout = Rollout {
        by_default: default,
        percentage: percentage(percent)?,
        plans: plans.collect::<ApiResult<_>>()?,
    };
    let settings = FeatureSettings { description: described(description)?, rollout };
    let mut change = match Mutation::begin(&state, &caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let made = change.tx.feature_create(&name, &settings).await?;
    change.finish(StatusCode::CREATED, &Feature::from(made)).await
}

/// List the features.
#[utoipa::path(
    get, path = "/v1/features", tag = "features",
    responses((status = 200, description = "All of them, by name", body = Page<Feature>), Problems)
)]
pub(super) async fn feature_list(State(state): State<ApiState>) -> ApiResult<Response> {
    let features = state.catalog.features().await?;
    shown(&Page::whole(features.into_iter().map(Feature::from).collect()))
}

/// Show a feature.
#[utoipa::path(
    get, path = "/v1/features/{feature}", tag = "features",
    params(("feature" = String, Path, description = "Its name")),
    responses((status = 200, description = "The feature", body = Feature), Problems)
)]
pub(super) async fn feature_get(
    State(state): State<ApiState>,
    Named(name): Named<String>,
) -> ApiResult<Response> {
    let feature = state.catalog.feature_get(&named(&name)?).await?.ok_or(ProblemKind::FeatureNotFound)?;
    shown(&Feature::from(feature))
}

/// Change a feature, for all tenants at once.
#[utoipa::path(
    patch, path = "/v1/features/{feature}", tag = "features", request_body = FeatureUpdate,
    params(("feature" = String, Path, description = "Its name"), ChangeHeaders, ConditionHeaders),
    responses((status = 200, description = "Changed", body = Feature), Problems)
)]
pub(super) async fn feature_update(
    State(state): State<ApiState>,
    Named(name): Named<String>,
    caller: Caller,
    body: Body<FeatureUpdate>,
) -> ApiResult<Response> {
    let name = named(&name)?;
    let mut change = match Mutation::begin(&state, &caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let before = change.tx.feature_lock(&name, caller.expected_version).await?;
    let changed = change.tx.feature_update(&name, &updated(before, body.value)?).await?;
    change.finish(StatusCode::OK, &Feature::from(changed)).await
}

fn updated(before: FeatureRecord, update: FeatureUpdate) -> ApiResult<FeatureSettings> {
    let FeatureRecord { description, mut rollout, .. } = before;
    rollout.by_default = update.default.unwrap_or(rollout.by_default);
    if let Some(percent) = update.percentage {
        rollout.percentage = percentage(percent)?;
    }
    for (plan, said) in update.plans {
        let plan = plan_named(&plan)?;
        rollout.plans.retain(|(of, _)| *of != plan);
        rollout.plans.extend(said.map(|is_on| (plan, is_on)));
    }
    let description = update.description.map_or(Ok(description), described)?;
    Ok(FeatureSettings { description, rollout })
}

/// Remove a feature, with all that was said of it.
#[utoipa::path(
    delete, path = "/v1/features/{feature}", tag = "features",
    params(("feature" = String, Path, description = "Its name"), ChangeHeaders),
    responses((status = 200, description = "Removed", body = Feature), Problems)
)]
pub(super) async fn feature_delete(
    State(state): State<ApiState>,
    Named(name): Named<String>,
    caller: Caller,
) -> ApiResult<Response> {
    let name = named(&name)?;
    let mut change = match Mutation::begin(&state, &caller, &[]).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let gone = change.tx.feature_delete(&name).await?;
    change.finish(StatusCode::OK, &Feature::from(gone)).await
}

fn named(text: &str) -> ApiResult<FeatureName> {
    text.parse().map_err(|_| ProblemKind::FeatureNotFound.into())
}

fn plan_named(text: &str) -> ApiResult<PlanName> {
    field("plans", text)
}

fn percentage(number: u8) -> ApiResult<Percentage> {
    number.try_into().map_err(|error: tenancy::feature::NotAPercentage| {
        Problem::new(ProblemKind::InvalidField).detail(error.to_string()).field("percentage")
    })
}

fn described(text: String) -> ApiResult<String> {
    if text.len() <= DESCRIPTION_BYTES_MAX && !text.contains('\0') {
        return Ok(text);
    }
    let detail = format!("a description is text of at most {DESCRIPTION_BYTES_MAX} bytes");
    Err(Problem::new(ProblemKind::InvalidField).detail(detail).field("description"))
}
