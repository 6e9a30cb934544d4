//! Who sends a request, and for which tenant.
//!
//! A bearer's key says by itself which tenant it opens; whatever else names a tenant may only name the same. Without
//! a key the connection string's user and password are checked. All of it stands before the body, so nobody's body is
//! read before its sender is known.

use crate::authenticate::password::Attempt;
use crate::authenticate::{Identity, api_key, service};
use crate::error::Refusal;
use crate::metrics::anomalies::Listener;
use crate::resolve::Tenant;
use crate::resolve::connection_string::ConnectionString;
use crate::resolve::request::RequestNames;
use crate::shared::Shared;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;
use identity::Token;
use net::ClientAddress;
use std::sync::Arc;
use tenancy::{ErrorKind, Secret, Source};

/// A sender that has proved who it is.
pub struct Caller {
    /// The tenant for which it may speak.
    pub tenant: Arc<Tenant>,
    /// Who it is there, and what it may do.
    pub identity: Identity,
    /// Where it is.
    pub peer: ClientAddress,
    /// What it calls itself, by its connection string.
    pub application_name: Option<Box<str>>,
}

/// The tenant for which somebody may speak, and who that is.
type Proved = (Arc<Tenant>, Identity);

impl Caller {
    fn new((tenant, identity): Proved, peer: ClientAddress, names: &RequestNames) -> Self {
        let string = names.connection_string.as_ref();
        let application_name = string.and_then(|string| string.application_name.clone());
        Self { tenant, identity, peer, application_name }
    }
}

/// Finds out who the sender at `peer` is. `tenant_in_path` is the name in the path, if there is one.
///
/// # Errors
/// No tenant is named, or two; the key, user or password is not known; the catalog cannot be asked; or too
/// many have failed at its address.
pub async fn identify(
    parts: &Parts,
    tenant_in_path: Option<&str>,
    peer: ClientAddress,
    shared: &Shared,
) -> Result<Caller, Refusal> {
    shared.addresses.may_log_in(peer)?;
    let proved = prove(parts, tenant_in_path, peer, shared).await;
    proved.inspect_err(|refusal| shared.addresses.refused_with(refusal.kind(), peer))
}

async fn prove(
    parts: &Parts,
    tenant_in_path: Option<&str>,
    peer: ClientAddress,
    shared: &Shared,
) -> Result<Caller, Refusal> {
    shared.installation.features().first_read().await;
    let names = RequestNames::read(parts, tenant_in_path, &shared.config)?;
    let proved = match (bearer(&parts.headers)?, &names.connection_string) {
        (Some(token), _) if Token::looks_like_one(token.expose()) => by_token(&token, &names, shared).await?,
        (Some(key), _) if key.expose().starts_with(service::PREFIX) => {
            let proved = by_service(&key, &names, shared).await?;
            return Ok(Caller::new(proved, peer, &names));
        }
        (Some(key), _) => by_key(&key, &names, shared).await?,
        (None, Some(string)) => by_password(string, &names, shared).await?,
        (None, None) => return Err(nobody(&names, shared).await?),
    };
    names.refuse_header()?;
    shared.uses.note(&proved.1.credential);
    Ok(Caller::new(proved, peer, &names))
}

fn bearer(headers: &HeaderMap) -> Result<Option<Secret>, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::protocol("there are two authorizations"));
    }
    let token = value.to_str().ok().and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    });
    match token {
        Some(token) => Ok(Some(Secret::new(token))),
        None => Err(Refusal::new(ErrorKind::Unauthenticated, "the authorization is not a bearer token")
            .hint("send an API key or a token as Authorization: Bearer …")),
    }
}

async fn by_key(key: &Secret, names: &RequestNames, shared: &Shared) -> Result<Proved, Refusal> {
    let (tenant, identity) = api_key::authenticate(&shared.routes, &shared.pools, key).await?;
    let claims = names.without_header(&shared.config);
    let bound = (Source::ApiKey, Arc::clone(&tenant));
    shared.court(Listener::Http).decide(&claims, Some(bound)).await?;
    Ok((tenant, identity))
}

/// The only one that may use the header.
async fn by_service(key: &Secret, names: &RequestNames, shared: &Shared) -> Result<Proved, Refusal> {
    let (claims, court) = (names.with_header(&shared.config), shared.court(Listener::Http));
    let (tenant, identity) = service::authenticate(key, &shared.installation, &claims, court).await?;
    shared.uses.note(&identity.credential);
    Ok((tenant, identity))
}

async fn by_token(token: &Secret, names: &RequestNames, shared: &Shared) -> Result<Proved, Refusal> {
    let claims = names.without_header(&shared.config);
    let court = shared.court(Listener::Http);
    shared.tokens.authenticate(token, &claims, court).await
}

async fn by_password(
    string: &ConnectionString,
    names: &RequestNames,
    shared: &Shared,
) -> Result<Proved, Refusal> {
    let claims = names.without_header(&shared.config);
    let found = shared.court(Listener::Http).decide(&claims, None).await?.ok_or_else(|| {
        Refusal::new(ErrorKind::TenantMissing, "no tenant was named")
            .hint("give the tenant as the connection string's database, or as user.tenant")
    })?;
    let Some(password) = &string.password else {
        return Err(Refusal::new(ErrorKind::Unauthenticated, "no password was given")
            .hint("the connection string has the form postgres://USER:PASSWORD@HOST/DATABASE"));
    };
    let (tenant, tenant_as_given) = found.into_parts();
    let user_as_given = &string.user_as_given;
    let attempt = Attempt { tenant: &tenant_as_given, user: string.user.as_ref(), user_as_given, password };
    let route = tenant.as_ref().map(|tenant| tenant.route());
    let identity = shared.passwords.check(route.as_deref(), &attempt, &shared.mock_seed).await?;
    let tenant = tenant.ok_or_else(|| Refusal::unauthenticated(user_as_given))?;
    Ok((tenant, identity))
}

/// What somebody hears who proves nothing: that no tenant was named, or else that a proof is missing. No tenant is looked
/// up for it: how long that takes would tell which there are, and anybody could have the catalog asked.
async fn nobody(names: &RequestNames, shared: &Shared) -> Result<Refusal, Refusal> {
    let claims = names.with_header(&shared.config);
    let refusal = match shared.court(Listener::Http).names_any(&claims).await? {
        true => Refusal::new(ErrorKind::Unauthenticated, "no credential was sent"),
        false => Refusal::new(ErrorKind::TenantMissing, "no tenant was named"),
    };
    Ok(refusal.hint(
        "send a connection string as Neon-Connection-String, or an API key as Authorization: Bearer tnt_…",
    ))
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
        let mut two = HeaderMap::new();
        for value in ["Bearer tnt_x", "Bearer tnt_y"] {
            two.append(AUTHORIZATION, HeaderValue::from_static(value));
        }
        assert_eq!(bearer(&two).expect_err("which one?").kind(), ErrorKind::ProtocolViolation);
    }
}
