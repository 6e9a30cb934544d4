//! Creating a tenant.
//!
//! The answer shows the connection string and the API key, once, before the database exists: both are made here
//! and only what checks them is stored, in the transaction that reserves the tenant. They open nothing until the
//! operation has made the tenant active, and are removed if it fails.

use super::super::caller::{Caller, ChangeHeaders};
use super::super::credentials::{Handover, first_credentials};
use super::super::document::Problems;
use super::super::extract::{Body, Params, field};
use super::super::mutation::{Begun, Mutation};
use super::super::operations::{Operation, enqueue};
use super::super::plan::{DryRun, Plan};
use super::super::problem::{ApiResult, Problem, ProblemKind};
use super::super::words;
use super::{Tenant, check_display_name, slug_to_take};
use crate::context::ApiState;
use crate::operations::{OperationKind, candidate};
use crate::schedule::placement::{self, NoPlace, Verdict, Wish};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::NewTenant;
use serde::{Deserialize, Serialize};
use tenancy::{Isolation, PlanName, RegionName, TenantId};
use utoipa::ToSchema;

/// The plan of tenants that ask for none.
const PLAN_DEFAULT: &str = "standard";

/// More regions than any cloud has.
const ALLOWED_REGIONS_MAX: usize = 100;

/// A tenant to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct TenantCreate {
    /// The name in addresses: lower-case letters, digits and single hyphens.
    #[schema(example = "acme")]
    slug: String,
    /// The name for people; the slug if left out.
    display_name: Option<String>,
    /// Where it is at home and its database is made.
    #[schema(example = "eu")]
    region: String,
    /// Where its data and connections may be, its home included; only its home if left out.
    allowed_regions: Option<Vec<String>>,
    /// What it bought; `standard` if left out.
    plan: Option<String>,
    /// How it is kept apart from the others; `database` if left out, and the only one so far.
    #[schema(schema_with = words::isolation)]
    isolation: Option<String>,
    /// Whether to make a first password and API key and show them in the answer; they are made if left out.
    credentials: Option<bool>,
}

/// A tenant on its way.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct TenantCreated {
    /// The tenant, not yet served.
    tenant: Tenant,
    /// What makes its database.
    operation: Operation,
    /// Shown once, in this answer.
    #[serde(flatten)]
    handover: Handover,
}

/// Create a tenant with a database of its own.
#[utoipa::path(
    post, path = "/v1/tenants", tag = "tenants", params(DryRun, ChangeHeaders), request_body = TenantCreate,
    responses(
        (status = 202, description = "Reserved, the database is being made", body = TenantCreated),
        (status = 200, description = "With dry_run: what would happen", body = Plan),
        Problems
    )
)]
pub(in super::super) async fn tenant_create(
    State(state): State<ApiState>,
    caller: Caller,
    Params(DryRun { dry_run }): Params<DryRun>,
    body: Body<TenantCreate>,
) -> ApiResult<Response> {
    let with_credentials = body.value.credentials.unwrap_or(true);
    let new = body.value.check(&state)?;
    let mut change = if dry_run {
        Mutation::rehearse(&state, &caller).await?
    } else {
        match Mutation::begin(&state, &caller, &body.bytes).await? {
            Begun::Fresh(change) => *change,
            Begun::Replay(answer) => return Ok(answer),
        }
    };
    let tenant = change.tx.tenant_create(&new).await?;
    let considered = would_be_placed(&state, &new).await?;
    if dry_run {
        change.abandon().await?;
        return Plan::new(OperationKind::Provision, tenant.into()).considered(considered).show();
    }
    let handover = match with_credentials {
        true => first_credentials(&state, &mut change.tx, &tenant).await?,
        false => Handover::default(),
    };
    let operation = enqueue(&mut change.tx, OperationKind::Provision, &tenant).await?;
    change.finish(StatusCode::ACCEPTED, &TenantCreated { tenant: tenant.into(), operation, handover }).await
}

impl TenantCreate {
    fn check(self, state: &ApiState) -> ApiResult<NewTenant> {
        let slug = slug_to_take(state, &self.slug)?;
        let display_name = self.display_name.unwrap_or_else(|| self.slug.clone());
        check_display_name(&display_name)?;
        let region: RegionName = field("region", &self.region)?;
        let allowed_regions = match &self.allowed_regions {
            Some(regions) => allowed_regions(regions)?,
            None => vec![region.clone()],
        };
        if !allowed_regions.contains(&region) {
            let detail = format!("region \"{region}\" is not among allowed_regions");
            return Err(Problem::new(ProblemKind::RegionNotAllowed).detail(detail).field("region"));
        }
        let plan: PlanName = field("plan", self.plan.as_deref().unwrap_or(PLAN_DEFAULT))?;
        let isolation = self.isolation.map_or(Ok(Isolation::default()), |word| field("isolation", &word))?;
        if isolation != Isolation::Database {
            let detail = format!("\"{isolation}\" is not available yet");
            return Err(Problem::new(ProblemKind::IsolationNotAvailable).detail(detail).field("isolation"));
        }
        Ok(NewTenant {
            id: TenantId::generate(),
            slug,
            display_name,
            region,
            allowed_regions,
            plan,
            isolation,
        })
    }
}

/// Reads a list of regions; one that stands there twice counts once.
pub(super) fn allowed_regions(names: &[String]) -> ApiResult<Vec<RegionName>> {
    if names.is_empty() || names.len() > ALLOWED_REGIONS_MAX {
        let detail = format!("allowed_regions names 1 to {ALLOWED_REGIONS_MAX} regions");
        return Err(Problem::new(ProblemKind::InvalidField).detail(detail).field("allowed_regions"));
    }
    let mut regions: Vec<RegionName> =
        names.iter().map(|name| field("allowed_regions", name)).collect::<ApiResult<_>>()?;
    regions.sort();
    regions.dedup();
    Ok(regions)
}

/// Refuses at once what the operation could only fail at later. Whoever comes first still gets the last place.
async fn would_be_placed(state: &ApiState, new: &NewTenant) -> ApiResult<Vec<Verdict>> {
    let clusters = state.catalog.clusters_in(&new.allowed_regions).await?;
    let candidates: Vec<_> = clusters.iter().map(candidate).collect();
    let wish = Wish { region: &new.region, allowed_regions: &new.allowed_regions };
    placement::choose(&candidates, wish).map(|choice| choice.verdicts).map_err(|refusal| {
        let kind = match refusal {
            NoPlace::RegionNotAllowed { .. } => ProblemKind::RegionNotAllowed,
            NoPlace::NoCluster { .. } | NoPlace::NoneFree { .. } => ProblemKind::NoCapacity,
        };
        Problem::new(kind).detail(refusal.to_string()).field("region")
    })
}
