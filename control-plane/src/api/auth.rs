//! Who may ask for what, decided before anything else of a request is read.
//!
//! A request's token says who asks ([`Principal`]), a table says what its route requires ([`Requirement`]), and one
//! layer holds the two together. A handler is reached only when both agree, and acts on the tenant that was
//! decided about: [`ActsIn`] takes the place of whatever name stood in the path, so that a name that changes hands in
//! between leads nowhere else.
//!
//! Never: a route that is served because nobody thought of it; an answer that tells another's tenant from one that
//! does not exist; a token in a log, a metric or an answer.

mod operator;
mod principal;
mod requirement;
mod shown;

pub(crate) use operator::OperatorToken;
pub(crate) use principal::{Principal, Reach, SignedIn};
pub(super) use requirement::{Requirement, of as requirement_of};
pub(crate) use shown::Shown;

use super::problem::{ApiResult, Problem, ProblemKind};
use crate::attempts::{Attempts, network};
use crate::metrics::{Metrics, WrongToken};
use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use catalog_schema::Catalog;
use sha2::{Digest, Sha256};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tenancy::{OperationId, Permission, TenantId};

/// In which an address gets back what it may show of wrong tokens.
const WRONG_TOKENS_WINDOW: Duration = Duration::from_secs(60);

/// Where a request came from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// The tenant that a request was found to be allowed to act in.
#[derive(Debug, Clone, Copy)]
pub(super) struct ActsIn {
    pub(super) tenant: TenantId,
    /// What allows it.
    pub(super) by: Permission,
}

/// What decides. Clones share it.
#[derive(Clone)]
pub(crate) struct Gate {
    operator: OperatorToken,
    catalog: Catalog,
    attempts: Arc<Attempts<IpAddr>>,
    metrics: Arc<Metrics>,
}

impl Gate {
    /// With as many wrong tokens a minute from one address.
    pub(crate) fn new(
        operator: OperatorToken,
        catalog: Catalog,
        metrics: Arc<Metrics>,
        per_minute: u32,
    ) -> Self {
        Self {
            operator,
            catalog,
            attempts: Arc::new(Attempts::new(per_minute, WRONG_TOKENS_WINDOW)),
            metrics,
        }
    }
}

/// Lets a request pass whose principal meets what its route requires.
pub(super) async fn authorise(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match gate.admit(&mut parts).await {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => refusal(problem),
    }
}

fn refusal(problem: Problem) -> Response {
    let mut response = problem.into_response();
    if response.status() == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Bearer realm=\"tenantry\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

impl Gate {
    async fn admit(&self, parts: &mut Parts) -> ApiResult<()> {
        let path = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str).unwrap_or_default();
        let Some(requirement) = requirement_of(&parts.method, path) else {
            tracing::error!(http.route = path, "a route has no requirement, so nobody gets it");
            return Err(ProblemKind::NotFound.into());
        };
        if requirement == Requirement::Public {
            return Ok(());
        }
        let peer = parts.extensions.get().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Peer(address)| *address);
        let (shown, principal) = self.principal(&parts.headers, peer).await?;
        if let Some(acts_in) = self.meets(&principal, requirement, parts).await? {
            parts.extensions.insert(acts_in);
        }
        parts.extensions.insert(principal);
        parts.extensions.insert(shown);
        Ok(())
    }

    /// Whose token a request shows.
    async fn principal(&self, headers: &HeaderMap, peer: IpAddr) -> ApiResult<(Shown, Principal)> {
        let shown = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer);
        let Some(shown) = shown else { return Err(ProblemKind::Unauthorized.into()) };
        let hash: [u8; 32] = Sha256::digest(shown.as_bytes()).into();
        if self.operator.has_hash(&hash) {
            return Ok((Shown::Operator, Principal::Operator));
        }
        let Some(attempt) = self.attempts.take(network(peer), Instant::now()) else {
            self.metrics.wrong_token(WrongToken::NotLookedAt, self.attempts.origins());
            return Err(ProblemKind::TooManyWrongTokens.into());
        };
        let shown = Shown::new(shown, hash);
        let found = match &shown {
            Some(shown) => shown.holder(&self.catalog).await,
            None => Ok(None),
        };
        if !matches!(found, Ok(None)) {
            // Right, or the catalog could not say: neither is the client's doing.
            self.attempts.give_back(attempt, Instant::now());
        }
        shown.zip(found?).ok_or_else(|| {
            self.metrics.wrong_token(WrongToken::Refused, self.attempts.origins());
            ProblemKind::Unauthorized.into()
        })
    }

    /// Refuses a principal that does not meet the requirement. Tells in which tenant one that does may act, if it is
    /// allowed to act in some only.
    async fn meets(
        &self,
        principal: &Principal,
        requirement: Requirement,
        parts: &mut Parts,
    ) -> ApiResult<Option<ActsIn>> {
        match (requirement, principal) {
            (Requirement::Oneself, Principal::User(_))
            | (Requirement::Public | Requirement::Listed(_), _)
            | (
                Requirement::Operator | Requirement::Tenant(_) | Requirement::Operation(_),
                Principal::Operator,
            ) => Ok(None),
            (Requirement::Operator, _) => Err(forbidden("only the operator may do this")),
            (Requirement::Oneself, _) => Err(forbidden("only a person who has signed in may do this")),
            (Requirement::Tenant(permission), _) => {
                let named = parameter(parts, "tenant").await.ok_or(ProblemKind::TenantNotFound)?;
                let (tenant, permissions) = principal.own_tenant(&self.catalog, &named).await?;
                permitted(permissions.contains(permission), permission)?;
                Ok(Some(ActsIn { tenant, by: permission }))
            }
            (Requirement::Operation(permission), _) => {
                let named = parameter(parts, "operation").await.ok_or(ProblemKind::OperationNotFound)?;
                let id: OperationId = named.parse().map_err(|_| ProblemKind::OperationNotFound)?;
                let tenant = self.catalog.operation_get(id).await?.and_then(|operation| operation.tenant);
                let own = tenant.and_then(|tenant| principal.permissions_in(tenant));
                let permissions = own.ok_or(ProblemKind::OperationNotFound)?;
                permitted(permissions.contains(permission), permission)?;
                Ok(tenant.map(|tenant| ActsIn { tenant, by: permission }))
            }
        }
    }
}

fn permitted(is: bool, permission: Permission) -> ApiResult<()> {
    if is { Ok(()) } else { Err(forbidden(&format!("this needs the permission {permission}"))) }
}

fn forbidden(detail: &str) -> Problem {
    Problem::new(ProblemKind::Forbidden).detail(detail)
}

/// A part of the path, as the router has read it. One that is no text names nothing.
async fn parameter(parts: &mut Parts, name: &str) -> Option<String> {
    let parameters = RawPathParams::from_request_parts(parts, &()).await.ok()?;
    parameters.iter().find(|(of, _)| *of == name).map(|(_, value)| value.to_owned())
}

/// The scheme's case does not matter (RFC 9110 §11.1).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use catalog_schema::MasterKey;
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;
    use tenancy::Secret;

    #[tokio::test]
    async fn a_route_that_nobody_thought_of_is_served_to_nobody() {
        let token = Secret::new("a token that nobody guesses".to_owned());
        let nowhere = Secret::new("postgres://nobody@127.0.0.1:1/none".to_owned());
        let catalog = Catalog::connect(&nowhere, MasterKey::generate().unwrap(), 1).await.unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        let gate = Gate::new(OperatorToken::new(&token), catalog, metrics, 1);
        let router = Router::new()
            .route("/v1/forgotten", get(async || "served"))
            .route("/healthz", get(async || "served").put(async || "served"))
            .layer(from_fn_with_state(gate, authorise));
        let service = TowerToHyperService::new(router);
        for (method, path, expected) in
            [("GET", "/healthz", 200), ("GET", "/v1/forgotten", 404), ("PUT", "/healthz", 404)]
        {
            let request = Request::builder().method(method).uri(path);
            let request = request.header(AUTHORIZATION, format!("Bearer {}", token.expose()));
            let answer = service.call(request.body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(answer.status(), expected, "{method} {path}");
        }
    }

    #[test]
    fn the_scheme_is_bearer_in_any_case() {
        assert_eq!(bearer("bearer abc"), Some("abc"));
        assert_eq!(bearer("Basic abc"), None);
        assert_eq!(bearer("abc"), None);
    }
}
