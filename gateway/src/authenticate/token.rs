//! Tokens in place of a key or password.
//!
//! ```text
//! who is it from? ─┬─ the control plane ─────────► its keys ──────────┐
//!                  ├─ one of the installation's ─► the issuer's keys ─┼─► the tenant that the token names, and all that
//!                  │                                                  │   name one besides must agree
//!                  └─ one of the tenant's own ───► the issuer's keys ─┴─► the tenant that others name
//! ```
//!
//! What this module must never do: have a tenant's own issuer vouch for another tenant, or tell somebody whose signature
//! was not checked why it is refused.

use super::identity::{CredentialRef, Identity};
use crate::error::Refusal;
use crate::metrics::Counter;
use crate::resolve::installation::{Installation, Known};
use crate::resolve::{Claims, Court, Found, Routes, Tenant};
use catalog_schema::ExternalId;
use identity::{Jwks, TenantName, Token, TokenError, Verified, own};
use jiff::Timestamp;
use std::sync::Arc;
use tenancy::{ErrorKind, Issuer, IssuerId, Secret, Source};

/// The user that a PostgreSQL client names to show a token in a password's place. Nobody's password is ever asked for in
/// clear: no credential may have this user.
pub use tenancy::name::TOKEN_USER;

/// Tokens by what came of them.
#[derive(Debug, Default)]
pub struct TokenCounts {
    /// Those that let somebody in.
    pub accepted: Counter,
    refused: [Counter; TokenError::ALL.len()],
}

/// Checks tokens. One for the whole gateway.
pub struct TokenChecks {
    installation: Arc<Installation>,
    jwks: Jwks,
    counts: TokenCounts,
}

/// Why a token lets nobody in.
enum No {
    Token(TokenError),
    /// As above, and the client is not told which: that there is such an issuer is a tenant's own affair.
    Unsaid(TokenError),
    Refused(Refusal),
}

impl From<TokenError> for No {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl TokenCounts {
    /// Refusals by reason.
    pub fn refused(&self) -> impl Iterator<Item = (TokenError, u64)> {
        TokenError::ALL.into_iter().zip(self.refused.iter().map(Counter::get))
    }

    fn refuse(&self, error: TokenError) {
        if let Some(index) = TokenError::ALL.iter().position(|other| *other == error) {
            self.refused[index].inc();
        }
    }
}

impl TokenChecks {
    /// Checks against what is known of the installation, with issuers' keys from `jwks`.
    #[must_use]
    pub fn new(installation: Arc<Installation>, jwks: Jwks) -> Self {
        Self { installation, jwks, counts: TokenCounts::default() }
    }

    /// What came of tokens.
    #[must_use]
    pub fn counts(&self) -> &TokenCounts {
        &self.counts
    }

    /// Issuers' keys.
    #[must_use]
    pub fn jwks(&self) -> &Jwks {
        &self.jwks
    }

    /// The tenant that a token opens, and who its holder is. `claims` are what names the tenant besides.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`]; [`ErrorKind::Forbidden`] when its holder has no role;
    /// [`ErrorKind::TenantConflict`]; [`ErrorKind::IssuerUnavailable`]; or the catalog cannot be asked.
    pub async fn authenticate(
        &self,
        text: &Secret,
        claims: &Claims,
        court: Court<'_>,
    ) -> Result<(Arc<Tenant>, Identity), Refusal> {
        match self.check(text, claims, court).await {
            Ok(known) => {
                self.counts.accepted.inc();
                Ok(known)
            }
            Err(No::Refused(refusal)) => Err(refusal),
            Err(No::Token(error)) => Err(self.refused(error, error)),
            Err(No::Unsaid(error)) => Err(self.refused(error, TokenError::UnknownIssuer)),
        }
    }

    fn refused(&self, error: TokenError, told: TokenError) -> Refusal {
        self.counts.refuse(error);
        tracing::info!(reason = error.as_str(), "a token was refused");
        refusal(told)
    }

    async fn check(
        &self,
        text: &Secret,
        claims: &Claims,
        court: Court<'_>,
    ) -> Result<(Arc<Tenant>, Identity), No> {
        let known = self.installation.known_or_refuse().await?;
        let token = Token::parse(text.expose(), self.jwks.settings().token_bytes_max)?;
        let (tenant, identity) = if own::is_own(&token) {
            by_control_plane(&token, &known, court.routes).await?
        } else if let Some(issuer) = known.issuer(token.issuer()) {
            let verified = self.verify(&token, issuer).await?;
            let name = verified.tenant.as_ref().ok_or(TokenError::Tenant)?;
            let tenant = named(name, issuer.id, court.routes).await?;
            (tenant, of_token(issuer, &verified))
        } else {
            return self.by_tenants_own(&token, claims, court).await;
        };
        court.decide(claims, Some((Source::Token, Arc::clone(&tenant)))).await?;
        Ok((tenant, identity))
    }

    /// Somebody else has to name the tenant: among its issuers the token's is looked for.
    async fn by_tenants_own(
        &self,
        token: &Token<'_>,
        claims: &Claims,
        court: Court<'_>,
    ) -> Result<(Arc<Tenant>, Identity), No> {
        let Some(Found::Tenant(tenant)) = court.decide(claims, None).await? else {
            return Err(TokenError::UnknownIssuer.into());
        };
        let route = tenant.route();
        let issuer = route.issuers.iter().find(|issuer| issuer.iss == token.issuer());
        let issuer = issuer.ok_or(TokenError::UnknownIssuer)?;
        let verified = self.verify(token, issuer).await.map_err(|error| match error {
            TokenError::KeysUnavailable => No::Unsaid(error),
            error => No::Token(error),
        })?;
        if let Some(name) = &verified.tenant {
            let named = named(name, issuer.id, court.routes).await?;
            // Who named it only by what a client fills in has named it all the same.
            court.decide(&claims.as_meant(), Some((Source::Token, Arc::clone(&named)))).await?;
            if named.id() != tenant.id() {
                return Err(TokenError::Tenant.into());
            }
        }
        Ok((Arc::clone(&tenant), of_token(issuer, &verified)))
    }

    async fn verify(&self, token: &Token<'_>, issuer: &Arc<Issuer>) -> Result<Verified, TokenError> {
        // Before its keys are asked for: nobody has them fetched by a token that could not be good.
        if !issuer.algorithms.contains(&token.algorithm()) {
            return Err(TokenError::Algorithm);
        }
        self.jwks.check(token, issuer, |keys| identity::verify(token, issuer, keys)).await
    }
}

async fn by_control_plane(
    token: &Token<'_>,
    known: &Known,
    routes: &Routes,
) -> Result<(Arc<Tenant>, Identity), No> {
    let verified = own::verify(token, known.own_keys())?;
    let tenant = routes.by_id(verified.tenant).await?.ok_or(TokenError::Tenant)?;
    let (user, session, key) = (verified.user, verified.session, verified.key);
    let (issued_at, session_ends) = (moment(verified.issued_at)?, moment(verified.session_ends)?);
    let credential = CredentialRef::GatewayToken { user, session, issued_at, session_ends, key };
    if !credential.opens(&tenant.route()) {
        return Err(TokenError::Revoked.into());
    }
    let subject = format!("user:{user}").into();
    Ok((tenant, Identity { subject, access: verified.access, credential }))
}

fn moment(seconds: u64) -> Result<Timestamp, TokenError> {
    let seconds = i64::try_from(seconds).map_err(|_| TokenError::Claims)?;
    Timestamp::from_second(seconds).map_err(|_| TokenError::Claims)
}

/// The tenant that a good token names.
async fn named(name: &TenantName, issuer: IssuerId, routes: &Routes) -> Result<Arc<Tenant>, No> {
    let found = match name {
        TenantName::Id(id) => routes.by_id(*id).await?,
        TenantName::Slug(slug) => routes.by_slug(slug).await?,
        TenantName::External(external) => {
            routes.by_external(&ExternalId { issuer, external: external.clone() }).await?
        }
    };
    Ok(found.ok_or(TokenError::Tenant)?)
}

fn of_token(issuer: &Issuer, verified: &Verified) -> Identity {
    let external = match &verified.tenant {
        Some(TenantName::External(external)) => Some(external.as_str().into()),
        _ => None,
    };
    Identity {
        subject: Arc::clone(&verified.user),
        access: verified.role.access(),
        credential: CredentialRef::Token {
            issuer: issuer.id,
            version: issuer.version,
            is_tenants: issuer.tenant.is_some(),
            external,
        },
    }
}

fn refusal(error: TokenError) -> Refusal {
    match error {
        TokenError::KeysUnavailable => {
            Refusal::new(ErrorKind::IssuerUnavailable, "the token's issuer cannot be asked for its keys")
                .hint("try again in a moment")
        }
        TokenError::Role => Refusal::new(ErrorKind::Forbidden, error.to_string())
            .hint("whoever registered the issuer decides which of its roles count here"),
        error if error.is_for_its_holder() => Refusal::new(ErrorKind::Unauthenticated, error.to_string()),
        _ => Refusal::new(ErrorKind::Unauthenticated, "the token is not valid")
            .hint("its issuer has to be registered, and the tenant named if the issuer is the tenant's own"),
    }
}
