//! The one rule for all places that may name the tenant: those that do must name the same.
//!
//! Names are turned into tenants first: a former name, an id and a domain of its own name the tenant as well as its
//! slug does. Two that lead to different tenants are an error and never a choice. The client is told which places
//! disagree; the tenants stand in the log.

use super::claims::{Claim, Claims, Named};
use super::routes::names_of;
use super::{Installation, Routes, Tenant};
use crate::error::Refusal;
use crate::metrics::anomalies::{Anomalies, Listener};
use std::sync::Arc;
use tenancy::{DomainName, ErrorKind, Source, TenantId};

/// Whom the places name.
pub enum Found {
    /// This tenant.
    Tenant(Arc<Tenant>),
    /// A tenant of this name, and there is none.
    Unknown(Named),
}

impl Found {
    /// The tenant, if there is one.
    #[must_use]
    pub fn tenant(&self) -> Option<&Arc<Tenant>> {
        match self {
            Self::Tenant(tenant) => Some(tenant),
            Self::Unknown(_) => None,
        }
    }

    /// The tenant, if there is one, or else what was given for its name.
    #[must_use]
    pub fn into_parts(self) -> (Option<Arc<Tenant>>, String) {
        match self {
            Self::Tenant(tenant) => (Some(tenant), String::new()),
            Self::Unknown(named) => (None, named.as_text()),
        }
    }

    fn in_words(&self) -> String {
        match self {
            Self::Tenant(tenant) => tenant.id().to_string(),
            Self::Unknown(named) => named.as_text(),
        }
    }
}

/// What tenants are looked up in, and where disagreement is counted.
#[derive(Clone, Copy)]
pub struct Court<'a> {
    /// From names to tenants.
    pub routes: &'a Routes,
    /// From domains of tenants' own to tenants.
    pub installation: &'a Installation,
    /// The counters.
    pub anomalies: &'a Anomalies,
    /// Where the client came in.
    pub listener: Listener,
}

impl Court<'_> {
    /// Whom the claims name; `None` when they name nobody. `bound` is the tenant that a verified credential is for, if
    /// it is for one: the others must agree with it.
    ///
    /// # Errors
    /// [`ErrorKind::TenantConflict`], or [`ErrorKind::CatalogUnavailable`] when a tenant is not cached and the catalog
    /// cannot be asked.
    pub async fn decide(
        &self,
        claims: &Claims,
        bound: Option<(Source, Arc<Tenant>)>,
    ) -> Result<Option<Found>, Refusal> {
        let mut first = bound.map(|(source, tenant)| (source, Found::Tenant(tenant)));
        for claim in claims.firm() {
            match &first {
                Some((source, found)) => self.hold_against(*source, found, claim).await?,
                None => first = self.look_up(&claim.named).await?.map(|found| (claim.source, found)),
            }
        }
        if first.is_none()
            && let Some(claim) = claims.defaults().next()
        {
            return self.look_up(&claim.named).await;
        }
        Ok(first.map(|(_, found)| found))
    }

    /// Is any tenant named, be there such a one or not? Nobody is asked.
    ///
    /// # Errors
    /// [`ErrorKind::CatalogUnavailable`] before it was ever known whose the domains are.
    pub async fn names_any(&self, claims: &Claims) -> Result<bool, Refusal> {
        for claim in claims.firm().chain(claims.defaults()) {
            match &claim.named {
                Named::Domain(domain) if self.owner_of(domain).await?.is_none() => {}
                _ => return Ok(true),
            }
        }
        Ok(false)
    }

    async fn hold_against(&self, source: Source, first: &Found, claim: &Claim) -> Result<(), Refusal> {
        let is_same = match first {
            Found::Tenant(tenant) => self.names(&claim.named, tenant).await?,
            Found::Unknown(named) => *named == claim.named,
        };
        if is_same {
            return Ok(());
        }
        // The cached route may be behind; and the log is to say who the other one is.
        let second = match self.look_up(&claim.named).await {
            Ok(None) => return Ok(()),
            Ok(Some(second)) => second,
            Err(_) => Found::Unknown(claim.named.clone()),
        };
        if let (Some(first), Some(second)) = (first.tenant(), second.tenant())
            && first.id() == second.id()
        {
            return Ok(());
        }
        self.anomalies.count(self.listener, source, claim.source);
        tracing::warn!(
            listener = self.listener.as_str(), first = %source, first.tenant = ?first.in_words(),
            second = %claim.source, second.tenant = ?second.in_words(),
            "a client names two different tenants"
        );
        Err(disagreement(source, claim.source))
    }

    async fn look_up(&self, named: &Named) -> Result<Option<Found>, Refusal> {
        let tenant = match named {
            Named::Name(name) => match name.parse() {
                Ok(slug) => self.routes.by_slug(&slug).await?,
                Err(_) => None,
            },
            Named::Id(id) => self.routes.by_id(*id).await?,
            Named::Domain(domain) => match self.owner_of(domain).await? {
                Some(id) => self.routes.by_id(id).await?,
                None => return Ok(None),
            },
        };
        Ok(Some(tenant.map_or_else(|| Found::Unknown(named.clone()), Found::Tenant)))
    }

    /// Nobody is asked for it: any client can send any host.
    async fn owner_of(&self, domain: &DomainName) -> Result<Option<TenantId>, Refusal> {
        Ok(self.installation.known_or_refuse().await?.owner_of(domain))
    }

    /// Is this the tenant's, as far as is known here?
    async fn names(&self, named: &Named, tenant: &Tenant) -> Result<bool, Refusal> {
        let route = tenant.route();
        Ok(match named {
            Named::Name(name) => names_of(&route).any(|known| known.as_str() == name.as_ref()),
            Named::Id(id) => *id == route.tenant_id,
            Named::Domain(domain) => self.owner_of(domain).await? == Some(route.tenant_id),
        })
    }
}

/// The tenants are not named: one of them is nobody's business here.
fn disagreement(first: Source, second: Source) -> Refusal {
    let message = if first == second {
        format!("two {}s name different tenants", first.phrase())
    } else {
        format!("the {} and the {} name different tenants", first.phrase(), second.phrase())
    };
    Refusal::new(ErrorKind::TenantConflict, message)
        .hint("all that name a tenant must name the same; leave out what is not needed")
}

/// The user's own name, and the tenant behind its last dot (`app.acme`). User names have no dot.
#[must_use]
pub fn split_user(user_as_given: &str) -> (&str, Option<&str>) {
    match user_as_given.rsplit_once('.') {
        Some((user, suffix)) => (user, Some(suffix)),
        None => (user_as_given, None),
    }
}

#[cfg(test)]
mod tests;
