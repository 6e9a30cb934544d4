//! Identity providers whose tokens open tenants: the installation's, which may vouch for any tenant, and tenants' own.
//!
//! ```text
//! of_installation, of_tenant   the endpoints, alike but for whose issuers they are about
//! settings                     what a request says, checked
//! trial                        asks an issuer for its keys, and tries a token
//! ```

mod of_installation;
mod of_tenant;
mod settings;
mod trial;

pub(super) use of_installation::*;
pub(super) use of_tenant::*;

use super::authority::Authority;
use super::caller::Caller;
use super::extract::{Body, field};
use super::mutation::{Begun, Mutation, shown};
use super::pagination::{Page, PageQuery};
use super::problem::{ApiResult, Problem, ProblemKind};
use super::words;
use crate::context::ApiState;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::IssuerRecord;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use settings::Wanted;
use std::collections::BTreeMap;
use tenancy::{IssuerId, TenantId};
use utoipa::ToSchema;
use uuid::Uuid;

/// An identity provider, and how its tokens are read.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Issuer {
    /// Its id.
    id: Uuid,
    /// The one tenant that it may vouch for; none if it is the installation's.
    tenant_id: Option<Uuid>,
    /// Its tokens' `iss`.
    #[schema(example = "https://acme.eu.auth0.com/")]
    iss: String,
    /// Its tokens' `aud` has to hold one of these.
    audiences: Vec<String>,
    /// What its tokens may be signed with.
    algorithms: Vec<&'static str>,
    /// Where its public keys are.
    jwks_url: String,
    /// The authorities that may have signed that server's certificate, in PEM; none for those that the system trusts.
    jwks_ca: Option<String>,
    /// How far its clock may be from ours, in seconds.
    leeway_s: u32,
    /// Where in a token tenant and role stand.
    #[schema(schema_with = words::claim_shape)]
    shape: &'static str,
    /// The tenant's claim, of the shape `custom`.
    tenant_claim: Option<String>,
    /// The role's claim, of the shape `custom`.
    role_claim: Option<String>,
    /// The user's claim; none for `sub`.
    user_claim: Option<String>,
    /// What the tenant's claim holds.
    #[schema(schema_with = words::tenant_form)]
    tenant_form: &'static str,
    /// Its words for roles; none: its words are ours.
    roles: BTreeMap<String, String>,
    /// The role of who has none that is known; none refuses them.
    default_role: Option<&'static str>,
    /// Rises with every change.
    version: i64,
    /// When it was registered.
    created_at: Timestamp,
    /// When it was last changed.
    updated_at: Timestamp,
}

impl From<IssuerRecord> for Issuer {
    fn from(record: IssuerRecord) -> Self {
        let IssuerRecord { issuer, created_at, updated_at } = record;
        let roles = issuer.roles.into_iter().map(|(word, role)| (word, role.as_str().to_owned()));
        Self {
            id: issuer.id.as_uuid(),
            tenant_id: issuer.tenant.map(TenantId::as_uuid),
            iss: issuer.iss,
            audiences: issuer.audiences,
            algorithms: issuer.algorithms.iter().map(|algorithm| algorithm.as_str()).collect(),
            jwks_url: issuer.jwks_url,
            jwks_ca: issuer.jwks_ca,
            leeway_s: issuer.leeway_s,
            shape: issuer.shape.as_str(),
            tenant_claim: issuer.tenant_claim.map(String::from),
            role_claim: issuer.role_claim.map(String::from),
            user_claim: issuer.user_claim.map(String::from),
            tenant_form: issuer.tenant_form.as_str(),
            roles: roles.collect(),
            default_role: issuer.default_role.map(|role| role.as_str()),
            version: issuer.version,
            created_at,
            updated_at,
        }
    }
}

/// An issuer to register.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuerCreate {
    /// Its tokens' `iss`, letter by letter.
    #[schema(example = "https://acme.eu.auth0.com/")]
    iss: String,
    #[serde(flatten)]
    settings: IssuerSettings,
}

/// How an issuer's tokens are read. What is left out stays as it is, or is as usual; empty text stands for none.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuerSettings {
    /// A token's `aud` has to hold one of these; at most 16. A new issuer needs one.
    audiences: Option<Vec<String>>,
    /// What tokens may be signed with; RS256, ES256 and EdDSA if left out. Never with a shared secret.
    algorithms: Option<Vec<String>>,
    /// Where its public keys are: https, or for the installation's also http on the same machine. If left out, the
    /// issuer is asked for it (OpenID Connect Discovery).
    jwks_url: Option<String>,
    /// The certificates of the authorities that may have signed that server's, in PEM.
    jwks_ca: Option<String>,
    /// How far its clock may be from ours, in seconds; 30 if left out.
    #[schema(maximum = 300)]
    leeway_s: Option<u32>,
    /// Where in a token tenant and role stand; `tenant` if left out.
    #[schema(schema_with = words::claim_shape)]
    shape: Option<String>,
    /// Of the shape `custom`: the tenant's claim, its name or a JSON pointer.
    tenant_claim: Option<String>,
    /// Of the shape `custom`: the role's claim, likewise; a word or a list of words.
    role_claim: Option<String>,
    /// The user's claim, likewise; `sub` if left out.
    user_claim: Option<String>,
    /// What the tenant's claim holds; `external` for the shape `organization`, and `id` for others, if left out.
    #[schema(schema_with = words::tenant_form)]
    tenant_form: Option<String>,
    /// The issuer's words for roles. If left out or empty, its words are ours.
    roles: Option<BTreeMap<String, String>>,
    /// The role of who has none that is known; if left out they are refused.
    default_role: Option<String>,
}

/// Whose issuers a request is about.
type Whose = Option<TenantId>;

async fn create(
    state: &ApiState,
    caller: &Caller,
    whose: Whose,
    body: Body<IssuerCreate>,
) -> ApiResult<Response> {
    let IssuerCreate { iss, settings } = body.value;
    let wanted = Wanted::read(settings)?;
    settings::check_name(&iss)?;
    // An issuer may be slow to say where its keys are: nothing is locked meanwhile.
    if let Some(answer) = Mutation::answered(state, caller, &body.bytes).await? {
        return Ok(answer);
    }
    let new = settings::new_issuer(state, whose, iss, wanted).await?;
    let mut change = match Mutation::begin(state, caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    may_give(caller, &mut change, whose, &new).await?;
    let created = change.tx.issuer_create(&new).await?;
    change.finish(StatusCode::CREATED, &Issuer::from(created)).await
}

async fn list(state: &ApiState, whose: Whose, query: &PageQuery) -> ApiResult<Response> {
    let issuers = state.catalog.issuers(whose, &query.page()?).await?;
    shown(&Page::cut(issuers, query.limit()?, |record| record.issuer.id.as_uuid(), Issuer::from))
}

async fn get(state: &ApiState, whose: Whose, id: &str) -> ApiResult<Response> {
    shown(&Issuer::from(find(state, whose, id).await?))
}

async fn find(state: &ApiState, whose: Whose, id: &str) -> ApiResult<IssuerRecord> {
    let found = state.catalog.issuer_get(whose, named(id)?).await?;
    found.ok_or_else(|| ProblemKind::IssuerNotFound.into())
}

async fn update(
    state: &ApiState,
    caller: &Caller,
    whose: Whose,
    id: &str,
    body: Body<IssuerSettings>,
) -> ApiResult<Response> {
    let (id, wanted) = (named(id)?, Wanted::read(body.value)?);
    let mut change = match Mutation::begin(state, caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let known = change.tx.issuer_lock(whose, id, caller.expected_version).await?;
    // Whoever could not have made it does not change it either.
    may_give(caller, &mut change, whose, &known).await?;
    let changed = settings::changed(state, known, wanted)?;
    may_give(caller, &mut change, whose, &changed).await?;
    let updated = change.tx.issuer_update(&changed).await?;
    change.finish(StatusCode::OK, &Issuer::from(updated)).await
}

async fn delete(state: &ApiState, caller: &Caller, whose: Whose, id: &str) -> ApiResult<Response> {
    let id = named(id)?;
    let mut change = match Mutation::begin(state, caller, &[]).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let known = change.tx.issuer_lock(whose, id, None).await?;
    may_give(caller, &mut change, whose, &known).await?;
    let deleted = change.tx.issuer_delete(whose, id).await?;
    change.finish(StatusCode::OK, &Issuer::from(deleted)).await
}

/// Nobody has an issuer give away what they do not hold. The installation's are an operator's, who holds everything.
async fn may_give(
    caller: &Caller,
    change: &mut Mutation,
    whose: Whose,
    issuer: &tenancy::Issuer,
) -> ApiResult<()> {
    match whose {
        Some(tenant) => Authority::of(caller, &mut change.tx, tenant).await?.covers(settings::gives(issuer)),
        None => Ok(()),
    }
}

fn named(id: &str) -> ApiResult<IssuerId> {
    id.parse().map_err(|_| ProblemKind::IssuerNotFound.into())
}

fn invalid(name: &str, detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::InvalidField).detail(detail).field(name)
}
