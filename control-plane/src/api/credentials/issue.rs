//! Making credentials: the secret goes into the answer, what checks it into the catalog.

use super::super::handover::{connection_string, http_endpoint};
use super::super::problem::ApiResult;
use crate::context::ApiState;
use crate::secrets;
use catalog_schema::{CredentialDetail, CredentialKind, NewCredential, TenantRecord, Tx};
use jiff::Timestamp;
use serde::Serialize;
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
    ApiKey,
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
    let (_, key) = issue(state, tx, tenant, Wanted::ApiKey, &terms).await?;
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
    let (kind, handover) = match wanted {
        Wanted::Password(user) => {
            let password = secrets::password()?;
            let beside = tx.password_verifier(tenant.id, &user).await?;
            let verifier = secrets::verifier_beside(&password, beside.as_deref()).await?;
            let url = connection_string(&state.gateway, &user, &password, &tenant.slug);
            let handover = Handover { connection_string: Some(shown_once(&url)), ..Handover::default() };
            (CredentialKind::Password { user, verifier }, handover)
        }
        Wanted::ApiKey => {
            let secrets::ApiKey { key, prefix, hash } = secrets::api_key()?;
            let http_endpoint = Some(http_endpoint(&state.gateway));
            let handover =
                Handover { http_endpoint, api_key: Some(shown_once(&key)), connection_string: None };
            (CredentialKind::ApiKey { prefix, hash, scope: KeyScope::Data }, handover)
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
    Ok((tx.credential_create(&new).await?, handover))
}

/// The one place where a secret leaves its wrapping: into the answer of the request that made it.
fn shown_once(secret: &Secret) -> String {
    secret.expose().to_owned()
}
