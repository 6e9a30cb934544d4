//! Who sends a request, and for which tenant.
//!
//! A bearer's key says by itself which tenant it opens; a connection string beside it may only name the
//! same. Without a key the connection string's user and password are checked. Both are in the headers, so
//! nobody's body is read before its sender is known.

use crate::authenticate::password::Attempt;
use crate::authenticate::{Identity, api_key};
use crate::error::Refusal;
use crate::resolve::Tenant;
use crate::resolve::connection_string::ConnectionString;
use crate::shared::Shared;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use std::sync::Arc;
use tenancy::{ErrorKind, Secret};

/// Where drivers put the connection string.
pub const CONNECTION_STRING: &str = "neon-connection-string";

/// A sender that has proved who it is.
pub struct Caller {
    /// The tenant for which it may speak.
    pub tenant: Arc<Tenant>,
    /// Who it is there, and what it may do.
    pub identity: Identity,
}

/// Finds out who the sender is.
///
/// # Errors
/// No tenant is named, or two; the key, user or password is not known; the catalog cannot be asked.
pub async fn identify(headers: &HeaderMap, shared: &Shared) -> Result<Caller, Refusal> {
    let target = match headers.get(CONNECTION_STRING) {
        None => None,
        Some(value) => {
            let text = std::str::from_utf8(value.as_bytes())
                .map_err(|_not_utf8| Refusal::protocol("the connection string is not valid UTF-8"))?;
            Some(ConnectionString::parse(text, shared.config.listen.domain.as_deref())?)
        }
    };
    match (bearer(headers)?, target) {
        (Some(key), target) => by_key(&key, target.as_ref(), shared).await,
        (None, Some(target)) => by_password(&target, shared).await,
        (None, None) => Err(Refusal::new(ErrorKind::TenantMissing, "no tenant was named").hint(
            "send a connection string as Neon-Connection-String, or an API key as Authorization: Bearer tnt_…",
        )),
    }
}

fn bearer(headers: &HeaderMap) -> Result<Option<Secret>, Refusal> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let token = value.to_str().ok().and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    });
    match token {
        Some(token) => Ok(Some(Secret::new(token))),
        None => Err(Refusal::new(ErrorKind::Unauthenticated, "the authorization is not a bearer token")
            .hint("send an API key as Authorization: Bearer tnt_…")),
    }
}

async fn by_key(key: &Secret, target: Option<&ConnectionString>, shared: &Shared) -> Result<Caller, Refusal> {
    let (tenant, identity) = api_key::authenticate(&shared.routes, &shared.pools, key).await?;
    let caller = Caller { tenant, identity };
    let Some(named) = target.and_then(|target| target.tenant.as_deref()) else { return Ok(caller) };
    let route = caller.tenant.route();
    if std::iter::once(&route.slug).chain(&route.aliases).any(|slug| slug.as_str() == named) {
        return Ok(caller);
    }
    // Said whether or not there is such a tenant: the holder of a key learns nothing of others.
    Err(Refusal::new(
        ErrorKind::TenantConflict,
        "the API key and the connection string name different tenants",
    )
    .hint("the connection string's host, user suffix and database must name the key's tenant, or none"))
}

async fn by_password(target: &ConnectionString, shared: &Shared) -> Result<Caller, Refusal> {
    let Some(named) = target.tenant.as_deref() else {
        return Err(Refusal::new(ErrorKind::TenantMissing, "no tenant was named")
            .hint("give the tenant as the connection string's database, or as user.tenant"));
    };
    let Some(password) = &target.password else {
        return Err(Refusal::new(ErrorKind::Unauthenticated, "no password was given")
            .hint("the connection string has the form postgres://USER:PASSWORD@HOST/DATABASE"));
    };
    let tenant = match target.slug() {
        Some(slug) => shared.routes.by_slug(&slug).await?,
        None => None,
    };
    let attempt =
        Attempt { tenant: named, user: target.user.as_ref(), user_as_given: &target.user_as_given, password };
    let route = tenant.as_ref().map(|tenant| tenant.route());
    let identity = shared.passwords.check(route.as_deref(), &attempt, &shared.mock_seed).await?;
    let tenant = tenant.ok_or_else(|| Refusal::unauthenticated(&target.user_as_given))?;
    Ok(Caller { tenant, identity })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn token(value: &'static str) -> Result<Option<String>, ErrorKind> {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))]);
        bearer(&headers).map(|key| key.map(|key| key.expose().to_owned())).map_err(|refusal| refusal.kind())
    }

    #[test]
    fn a_bearers_token_is_found_and_other_schemes_are_refused() {
        assert_eq!(token("Bearer tnt_x"), Ok(Some("tnt_x".into())));
        assert_eq!(token("bearer  tnt_x"), Ok(Some("tnt_x".into())));
        assert_eq!(token("Basic dTpw"), Err(ErrorKind::Unauthenticated));
        assert!(matches!(bearer(&HeaderMap::new()), Ok(None)));
    }
}
