//! Trying an issuer out: are its keys there, and what would a token of its open?

use super::settings::{may_ask, unreachable};
use super::{Whose, find};
use crate::api::extract::Body;
use crate::api::mutation::shown;
use crate::api::problem::ApiResult;
use crate::context::ApiState;
use axum::response::Response;
use identity::{KeySet, TenantName, Token, TokenError, Verified};
use serde::{Deserialize, Serialize};
use tenancy::Issuer;
use utoipa::ToSchema;

/// What is to be tried.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct IssuerTest {
    /// A token of the issuer's. It is checked as a gateway would, and neither kept nor logged.
    token: Option<String>,
}

/// What came of it. That the issuer's keys could be fetched is told by there being an answer.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct IssuerTested {
    /// Keys that can check signatures.
    keys: usize,
    /// What the token says, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<TokenTested>,
}

/// What a token says.
#[derive(Debug, Serialize, ToSchema)]
struct TokenTested {
    /// Is it good? Whether there is a tenant of that name is not looked at.
    accepted: bool,
    /// Why not, in a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Why not, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Who holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// The tenant that it names, in the form that the issuer's `tenant_form` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    /// What its holder may do there.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
}

pub(super) async fn test(
    state: &ApiState,
    whose: Whose,
    id: &str,
    body: Body<IssuerTest>,
) -> ApiResult<Response> {
    let issuer = find(state, whose, id).await?.issuer;
    let asked = may_ask(state, whose)?;
    let keys = state.jwks.fetch(&issuer).await.map_err(|why| unreachable(whose, &why))?;
    drop(asked);
    let bytes_max = state.jwks.settings().token_bytes_max;
    let token = body.value.token.map(|text| match check(&text, &issuer, &keys, bytes_max) {
        Ok(verified) => TokenTested::good(verified),
        Err(error) => TokenTested::bad(error),
    });
    shown(&IssuerTested { keys: keys.len(), token })
}

fn check(text: &str, issuer: &Issuer, keys: &KeySet, bytes_max: usize) -> Result<Verified, TokenError> {
    identity::verify(&Token::parse(text.trim(), bytes_max)?, issuer, keys)
}

impl TokenTested {
    fn good(verified: Verified) -> Self {
        let tenant = verified.tenant.map(|name| match name {
            TenantName::Id(id) => id.to_string(),
            TenantName::Slug(slug) => slug.into(),
            TenantName::External(external) => external,
        });
        let user = Some(verified.user.to_string());
        let role = Some(verified.role.as_str());
        Self { accepted: true, reason: None, detail: None, user, tenant, role }
    }

    fn bad(error: TokenError) -> Self {
        let detail = Some(error.to_string());
        Self { accepted: false, reason: Some(error.as_str()), detail, user: None, tenant: None, role: None }
    }
}
