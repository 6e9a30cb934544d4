//! Signing in by an identity provider's token. Only the installation's issuers are asked: a tenant's own could say
//! of itself to be anybody.

use super::super::problem::{ApiResult, ProblemKind};
use crate::context::ApiState;
use catalog_schema::UserIdentity;
use identity::{KeySet, Token, TokenError};
use std::sync::Arc;
use tenancy::{Issuer, Secret, UserId};

/// Whoever a token says that its holder is, if that is an identity of somebody's who is let in.
pub(super) async fn by_token(state: &ApiState, token: &Secret) -> ApiResult<Option<UserId>> {
    match identity_of(state, token).await? {
        Ok(identity) => Ok(state.catalog.user_by_identity(&identity).await?),
        Err(TokenError::KeysUnavailable) => Err(ProblemKind::IssuerUnavailable.into()),
        Err(error) => {
            tracing::info!(reason = error.as_str(), "a token to sign in with was refused");
            Ok(None)
        }
    }
}

async fn identity_of(state: &ApiState, token: &Secret) -> ApiResult<Result<UserIdentity, TokenError>> {
    let bytes_max = state.jwks.settings().token_bytes_max;
    let token = match Token::parse(token.expose(), bytes_max) {
        Ok(token) => token,
        Err(error) => return Ok(Err(error)),
    };
    let issuers = state.catalog.identity().await?.issuers;
    let Some(issuer) = issuers.into_iter().find(|issuer| issuer.iss == token.issuer()) else {
        return Ok(Err(TokenError::UnknownIssuer));
    };
    Ok(checked(state, &token, &issuer).await)
}

async fn checked(
    state: &ApiState,
    token: &Token<'_>,
    issuer: &Arc<Issuer>,
) -> Result<UserIdentity, TokenError> {
    let subject = |keys: &KeySet| identity::subject(token, issuer, keys).map(|subject| subject.to_string());
    let subject = state.jwks.check(token, issuer, subject).await?;
    Ok(UserIdentity { issuer: issuer.iss.clone(), subject })
}
