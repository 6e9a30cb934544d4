//! What a request or connection says of its tenant, place by place, before anybody was asked who that is.

use tenancy::{DomainName, Source, TenantId};

/// One place names a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Which place.
    pub source: Source,
    /// What stands there.
    pub named: Named,
    /// A client fills the place in where its user gave nothing: it names a tenant only if no other place does.
    pub is_default: bool,
}

/// How a tenant is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// By a slug, a present or a former one. What can be none names a tenant all the same, an unknown one.
    Name(Box<str>),
    /// By its id.
    Id(TenantId),
    /// By a domain of its own. One that is nobody's names nothing: it is merely where the gateway was found.
    Domain(DomainName),
}

impl Claim {
    /// A place names a tenant by its slug.
    #[must_use]
    pub fn name(source: Source, name: &str) -> Self {
        Self { source, named: Named::Name(name.into()), is_default: false }
    }

    /// A place names a tenant by its id, or by its slug.
    #[must_use]
    pub fn id_or_name(source: Source, text: &str) -> Self {
        let named = text.parse().map_or_else(|_not_an_id| Named::Name(text.into()), Named::Id);
        Self { source, named, is_default: false }
    }

    /// A host that lies elsewhere than below the gateway's domain.
    #[must_use]
    pub fn domain(domain: DomainName) -> Self {
        Self { source: Source::CustomDomain, named: Named::Domain(domain), is_default: false }
    }

    /// The database. Clients fill in the user's name where none is given
    /// (<https://www.postgresql.org/docs/current/libpq-connect.html>).
    #[must_use]
    pub fn database(name: &str, user_as_given: &str) -> Option<Self> {
        let is_default = name == user_as_given;
        (!name.is_empty()).then(|| Self { is_default, ..Self::name(Source::Database, name) })
    }
}

impl Named {
    /// In words for a log.
    #[must_use]
    pub fn as_text(&self) -> String {
        match self {
            Self::Name(name) => name.as_ref().to_owned(),
            Self::Id(id) => id.to_string(),
            Self::Domain(domain) => domain.to_string(),
        }
    }
}

/// All that a request or connection says of its tenant, in the order in which it counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims(Vec<Claim>);

impl Claims {
    /// These claims in the order of their sources. One whose source is not among them is left out.
    #[must_use]
    pub fn in_order(claims: impl IntoIterator<Item = Claim>, order: &[Source]) -> Self {
        let place = |claim: &Claim| order.iter().position(|source| *source == claim.source);
        let mut claims: Vec<Claim> = claims.into_iter().filter(|claim| place(claim).is_some()).collect();
        claims.sort_by_key(place);
        Self(claims)
    }

    /// These, and behind them those.
    #[must_use]
    pub fn followed_by(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// The same, where what a client has filled in is meant if nothing else names a tenant.
    #[must_use]
    pub fn as_meant(&self) -> Self {
        let has_firm = self.firm().next().is_some();
        let meant = |claim: &Claim| Claim { is_default: claim.is_default && has_firm, ..claim.clone() };
        Self(self.0.iter().map(meant).collect())
    }

    /// Those that name a tenant whatever the others do.
    pub fn firm(&self) -> impl Iterator<Item = &Claim> {
        self.0.iter().filter(|claim| !claim.is_default)
    }

    /// Those that name a tenant only if no other does.
    pub fn defaults(&self) -> impl Iterator<Item = &Claim> {
        self.0.iter().filter(|claim| claim.is_default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_names_nothing_and_the_rest_is_in_order() {
        let given = [
            Claim::name(Source::Database, "a"),
            Claim::name(Source::Host, "b"),
            Claim::name(Source::Path, "c"),
        ];
        let claims = Claims::in_order(given, &[Source::Path, Source::Database]);
        let sources: Vec<_> = claims.firm().map(|claim| claim.source).collect();
        assert_eq!(sources, [Source::Path, Source::Database]);
    }

    #[test]
    fn a_database_that_repeats_the_user_is_filled_in() {
        assert!(Claim::database("app", "app").is_some_and(|claim| claim.is_default));
        assert!(Claim::database("acme", "app").is_some_and(|claim| !claim.is_default));
        assert_eq!(Claim::database("", "app"), None);
    }

    #[test]
    fn an_id_is_told_from_a_name() {
        let id = TenantId::generate();
        assert_eq!(Claim::id_or_name(Source::Header, &id.to_string()).named, Named::Id(id));
        assert_eq!(Claim::id_or_name(Source::Header, "acme").named, Named::Name("acme".into()));
    }
}
