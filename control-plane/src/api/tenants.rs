//! Tenants: customers, each with a database of its own.

mod create;
mod entitlements;
mod lifecycle;
mod read;
mod update;

pub(super) use create::{__path_tenant_create, tenant_create};
pub(super) use entitlements::{
    __path_tenant_entitle, __path_tenant_entitlements, tenant_entitle, tenant_entitlements,
};
pub(super) use lifecycle::{
    __path_tenant_delete, __path_tenant_resume, __path_tenant_suspend, tenant_delete, tenant_resume,
    tenant_suspend,
};
pub(super) use read::{__path_tenant_get, __path_tenant_list, tenant_get, tenant_list};
pub(super) use update::{__path_tenant_update, tenant_update};

use super::auth::Principal;
use super::extract::field_as;
use super::problem::{ApiResult, Problem, ProblemKind};
use super::words;
use crate::context::ApiState;
use catalog_schema::TenantRecord;
use jiff::Timestamp;
use serde::Serialize;
use tenancy::{Slug, TenantId};
use utoipa::ToSchema;
use uuid::Uuid;

/// The longest name for people.
const DISPLAY_NAME_CHARS_MAX: usize = 200;

/// A tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Tenant {
    /// Its id, which it keeps for good.
    id: Uuid,
    /// The name in addresses; may be changed.
    #[schema(example = "acme")]
    slug: String,
    /// The name for people.
    #[schema(example = "Acme Inc.")]
    display_name: String,
    /// Where it is at home.
    #[schema(example = "eu")]
    region: String,
    /// Where its data and its connections may be.
    allowed_regions: Vec<String>,
    /// What it bought.
    #[schema(example = "standard")]
    plan: String,
    /// How it is kept apart from the others.
    #[schema(schema_with = words::isolation)]
    isolation: &'static str,
    /// provisioning → active ⇄ suspended; each of them → purging → deleted.
    #[schema(schema_with = words::tenant_state)]
    state: &'static str,
    /// The cluster that it is placed on; told to the operator only.
    cluster: Option<String>,
    /// Rises with every change of its route.
    generation: i64,
    /// Rises with every change; also the `ETag`.
    version: i64,
    /// When it was created.
    created_at: Timestamp,
    /// When it was changed last.
    updated_at: Timestamp,
    /// When it was deleted for good.
    deleted_at: Option<Timestamp>,
}

impl From<TenantRecord> for Tenant {
    fn from(record: TenantRecord) -> Self {
        Self {
            id: record.id.as_uuid(),
            slug: record.slug.into(),
            display_name: record.display_name,
            region: record.region.into(),
            allowed_regions: record.allowed_regions.into_iter().map(String::from).collect(),
            plan: record.plan.into(),
            isolation: record.isolation.as_str(),
            state: record.state.as_str(),
            cluster: record.cluster.map(String::from),
            generation: record.generation.get(),
            version: record.version,
            created_at: record.created_at,
            updated_at: record.updated_at,
            deleted_at: record.deleted_at,
        }
    }
}

impl Tenant {
    /// What a principal is to see of it: the fleet is the operator's.
    fn seen_by(self, principal: &Principal) -> Self {
        if principal.is_operator() { self } else { Self { cluster: None, ..self } }
    }
}

/// Finds a tenant by its id, its slug, or a slug that it had until lately. Only an id finds a deleted one.
pub(super) async fn find(state: &ApiState, text: &str) -> ApiResult<TenantRecord> {
    let found = match (text.parse::<TenantId>(), text.parse()) {
        (Ok(id), _) => state.catalog.tenant_get(id).await?,
        (Err(_), Ok(slug)) => state.catalog.tenant_by_slug(&slug).await?,
        (Err(_), Err(_)) => None,
    };
    found.ok_or_else(|| Problem::from(ProblemKind::TenantNotFound))
}

/// Reads a slug that a tenant is to have.
fn slug_to_take(state: &ApiState, text: &str) -> ApiResult<Slug> {
    let slug: Slug = field_as(ProblemKind::SlugInvalid, "slug", text)?;
    if state.reserved_names.iter().any(|reserved| reserved == slug.as_str()) {
        let detail = format!("the slug \"{slug}\" is reserved");
        return Err(Problem::new(ProblemKind::SlugInvalid).detail(detail).field("slug"));
    }
    Ok(slug)
}

pub(super) fn check_display_name(name: &str) -> ApiResult<()> {
    let length = name.chars().count();
    if (1..=DISPLAY_NAME_CHARS_MAX).contains(&length) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    let detail = format!(
        "a display name has 1 to {DISPLAY_NAME_CHARS_MAX} characters, none of them control characters"
    );
    Err(Problem::new(ProblemKind::InvalidField).detail(detail).field("display_name"))
}
