//! Domains of tenants' own. One leads to its tenant once a TXT record has proved that it is the tenant's to give.

use super::caller::{Caller, ChangeHeaders};
use super::document::Problems;
use super::extract::{Body, Named};
use super::mutation::{Begun, Mutation, shown};
use super::pagination::Page;
use super::problem::{ApiResult, Problem, ProblemKind};
use super::tenants;
use crate::context::ApiState;
use crate::domains::{record_name, record_value};
use crate::secrets;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::DomainRecord;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenancy::DomainName;
use utoipa::ToSchema;

/// A domain of a tenant's own.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CustomDomain {
    /// The domain.
    #[schema(example = "sql.acme.org")]
    domain: String,
    /// Whether it leads to the tenant.
    verified: bool,
    /// The record that proves it. It has to stay.
    challenge: DomainChallenge,
    /// When it was asked for.
    created_at: Timestamp,
    /// Since when it leads to the tenant.
    verified_at: Option<Timestamp>,
    /// When its record was looked for last.
    checked_at: Option<Timestamp>,
}

/// The record that proves a domain.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DomainChallenge {
    /// Its type: `TXT`.
    record_type: &'static str,
    /// Its name.
    #[schema(example = "_tenantry-challenge.sql.acme.org")]
    name: String,
    /// What it has to hold.
    #[schema(example = "tenantry-verify=…")]
    value: String,
}

impl From<DomainRecord> for CustomDomain {
    fn from(record: DomainRecord) -> Self {
        let challenge = DomainChallenge {
            record_type: "TXT",
            name: record_name(&record.domain),
            value: record_value(&record.challenge),
        };
        Self {
            challenge,
            verified: record.verified_at.is_some(),
            domain: record.domain.into(),
            created_at: record.created_at,
            verified_at: record.verified_at,
            checked_at: record.checked_at,
        }
    }
}

/// A domain to ask for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CustomDomainCreate {
    /// The domain, of two labels or more; other letters than ASCII's in its ASCII form.
    #[schema(example = "sql.acme.org")]
    domain: String,
}

/// Ask for a domain. The answer says which TXT record proves that it is the tenant's.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/domains", tag = "domains", request_body = CustomDomainCreate,
    params(("tenant" = String, Path, description = "Its id or slug"), ChangeHeaders),
    responses((status = 201, description = "Asked for", body = CustomDomain), Problems)
)]
pub(super) async fn domain_create(
    State(state): State<ApiState>,
    Named(tenant): Named<String>,
    caller: Caller,
    body: Body<CustomDomainCreate>,
) -> ApiResult<Response> {
    let domain: DomainName = body.value.domain.parse().map_err(|error: tenancy::BadDomainName| {
        Problem::new(ProblemKind::InvalidField).detail(error.to_string()).field("domain")
    })?;
    let mut change = match Mutation::begin(&state, &caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let tenant = tenants::find(&state, &tenant).await?;
    let made = change.tx.domain_create(tenant.id, &domain, &secrets::challenge()?).await?;
    change.finish(StatusCode::CREATED, &CustomDomain::from(made)).await
}

/// List a tenant's domains.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/domains", tag = "domains",
    params(("tenant" = String, Path, description = "Its id or slug")),
    responses((status = 200, description = "All of them, by name", body = Page<CustomDomain>), Problems)
)]
pub(super) async fn domain_list(
    State(state): State<ApiState>,
    Named(tenant): Named<String>,
) -> ApiResult<Response> {
    let tenant = tenants::find(&state, &tenant).await?;
    let domains = state.catalog.domains(tenant.id).await?;
    shown(&Page::whole(domains.into_iter().map(CustomDomain::from).collect()))
}

/// Look for a domain's TXT record. From its being found on, the domain leads to the tenant.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/domains/{domain}/verify", tag = "domains",
    params(
        ("tenant" = String, Path, description = "The tenant's id or slug"),
        ("domain" = String, Path, description = "The domain"),
        ChangeHeaders
    ),
    responses((status = 200, description = "Verified", body = CustomDomain), Problems)
)]
pub(super) async fn domain_verify(
    State(state): State<ApiState>,
    Named((tenant, domain)): Named<(String, String)>,
    caller: Caller,
) -> ApiResult<Response> {
    let domain = named(&domain)?;
    let tenant = tenants::find(&state, &tenant).await?;
    // Before the change begins: nothing is kept waiting in the catalog while name servers are asked.
    let asked = state.catalog.domain_get(tenant.id, &domain).await?.ok_or(ProblemKind::DomainNotFound)?;
    let found = state.proofs.look_up(&domain, &asked.challenge).await.map_err(|error| {
        tracing::info!(%domain, %error, "a domain's record could not be looked for");
        ProblemKind::DomainUnresolved
    })?;
    if !found {
        let (name, value) = (record_name(&domain), record_value(&asked.challenge));
        let detail = format!("there is no TXT record \"{name}\" that holds \"{value}\"");
        return Err(Problem::new(ProblemKind::DomainUnproven).detail(detail));
    }
    let mut change = match Mutation::begin(&state, &caller, &[]).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let verified = change.tx.domain_found(tenant.id, &domain).await?;
    change.finish(StatusCode::OK, &CustomDomain::from(verified)).await
}

/// Take a domain from a tenant. It leads nowhere from then on.
#[utoipa::path(
    delete, path = "/v1/tenants/{tenant}/domains/{domain}", tag = "domains",
    params(
        ("tenant" = String, Path, description = "The tenant's id or slug"),
        ("domain" = String, Path, description = "The domain"),
        ChangeHeaders
    ),
    responses((status = 200, description = "Taken away", body = CustomDomain), Problems)
)]
pub(super) async fn domain_delete(
    State(state): State<ApiState>,
    Named((tenant, domain)): Named<(String, String)>,
    caller: Caller,
) -> ApiResult<Response> {
    let domain = named(&domain)?;
    let mut change = match Mutation::begin(&state, &caller, &[]).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let tenant = tenants::find(&state, &tenant).await?;
    let mut gone = change.tx.domain_delete(tenant.id, &domain).await?;
    gone.verified_at = None;
    change.finish(StatusCode::OK, &CustomDomain::from(gone)).await
}

fn named(text: &str) -> ApiResult<DomainName> {
    text.parse().map_err(|_| ProblemKind::DomainNotFound.into())
}
