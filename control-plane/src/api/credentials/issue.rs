//! Making credentials: the secret goes into the answer, what checks it into the catalog.

use super::super::handover::{connection_string, http_endpoint};
use super::super::problem::ApiResult;
use crate::context::ApiState;
use crate::secrets::{self, KeyFor};
use catalog_schema::{CredentialDetail, CredentialKind, NewCredential, TenantRecord, Tx};
use jiff::Timestamp;
use serde::Serialize;
use std::time::Duration;
use tenancy::{CredentialId, KeyScope, PoolMode, Role, Secret, UserName};
use utoipa::ToSchema;

/// The user of a tenant's first password, and of one that names no other.
const FIRST_USER: &str = "app";

/// What a tenant's people are handed, once. Shown by nothing but the answer to the request that made it.
#[derive(Default, Serialize, ToSchema)]
pub(in super::super) struct Handover {
    /// Works as it stands in psql and drivers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "postgres://app:…@db.example.com:6432/acme")]
    connection_string: Option<String>,
    /// Where SQL is sent over HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "https://db.example.com/sql")]
    http_endpoint: Option<String>,
    /// The key for SQL over HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "tnt_…")]
    api_key: Option<String>,
}

impl std::fmt::Debug for Handover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handover([redacted])")
    }
}

/// A credential to make.
#[derive(Debug)]
pub(super) enum Wanted {
    Password(UserName),
    ApiKey(KeyScope),
}

impl Wanted {
    /// What it is good for. A password is for the tenant's data.
    pub(super) const fn scope(&self) -> KeyScope {
        match self {
            Self::Password(_) => KeyScope::Data,
            Self::ApiKey(scope) => *scope,
        }
    }
}

/// What holds for it.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) role: Role,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) pool_mode: Option<PoolMode>,
}

/// The user of a password that names no other.
pub(super) fn first_user() -> UserName {
    FIRST_USER.parse().expect("three letters make a user name")
}

/// Makes a new tenant's first password and API key.
pub(in super::super) async fn first_credentials(
    state: &ApiState,
    tx: &mut Tx,
    tenant: &TenantRecord,
) -> ApiResult<Handover> {
    let terms = Terms { role: Role::Owner, expires_at: None, pool_mode: None };
    let (_, password) = issue(state, tx, tenant, Wanted::Password(first_user()), &terms).await?;
    let (_, key) = issue(state, tx, tenant, Wanted::ApiKey(KeyScope::Data), &terms).await?;
    Ok(Handover { connection_string: password.connection_string, ..key })
}

/// Makes one credential.
pub(super) async fn issue(
    state: &ApiState,
    tx: &mut Tx,
    tenant: &TenantRecord,
    wanted: Wanted,
    terms: &Terms,
) -> ApiResult<(CredentialDetail, Handover)> {
    let (new, handover) = prepare(state, tx, tenant, wanted, terms).await?;
    Ok((tx.credential_create(&new).await?, handover))
}

/// Makes one like `old` that takes its place; `old` is good for `keep` at most from now on. Returns the new one and the
/// old one.
pub(super) async fn reissue(
    state: &ApiState,
    tx: &mut Tx,
    tenant: &TenantRecord,
    old: &CredentialDetail,
    expires_at: Option<Timestamp>,
    keep: Duration,
) -> ApiResult<([CredentialDetail; 2], Handover)> {
    let wanted = old.user.clone().map_or(Wanted::ApiKey(old.scope), Wanted::Password);
    let terms = Terms { role: old.role, expires_at, pool_mode: old.pool_mode };
    let (new, handover) = prepare(state, tx, tenant, wanted, &terms).await?;
    Ok((tx.credential_replace(old.id, &new, keep).await?, handover))
}

async fn prepare(
    state: &ApiState,
    tx: &mut Tx,
    tenant: &TenantRecord,
    wanted: Wanted,
    terms: &Terms,
) -> ApiResult<(NewCredential, Handover)> {
    let (kind, handover) = match wanted {
        Wanted::Password(user) => {
            let password = secrets::password()?;
            let beside = tx.password_verifier(tenant.id, &user).await?;
            let verifier = secrets::verifier_beside(&password, beside.as_deref()).await?;
            let url = connection_string(&state.gateway, &user, &password, &tenant.slug);
            let handover = Handover { connection_string: Some(shown_once(&url)), ..Handover::default() };
            (CredentialKind::Password { user, verifier }, handover)
        }
        Wanted::ApiKey(scope) => {
            let secrets::ApiKey { key, prefix, hash } = secrets::api_key(KeyFor::Tenant)?;
            let http_endpoint = Some(http_endpoint(&state.gateway));
            let handover =
                Handover { http_endpoint, api_key: Some(shown_once(&key)), connection_string: None };
            (CredentialKind::ApiKey { prefix, hash, scope }, handover)
        }
    };
    let new = NewCredential {
        id: CredentialId::generate(),
        tenant: tenant.id,
        role: terms.role,
        expires_at: terms.expires_at,
        pool_mode: terms.pool_mode,
        kind,
    };
    Ok((new, handover))
}

/// Where a tenant's secret leaves its wrapping: into the answer of the request that made it.
pub(in super::super) fn shown_once(secret: &Secret) -> String {
    secret.expose().to_owned()
}
