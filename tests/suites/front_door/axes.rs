//! What is combined: ways in, places that name a tenant, credentials, and what is the matter with them.

use tenancy::Source;

/// How a client comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Way {
    /// SQL over HTTP.
    Http,
    /// PostgreSQL's protocol.
    Wire,
}

impl Way {
    pub(crate) const ALL: [Self; 2] = [Self::Http, Self::Wire];

    /// The table's word, and the metrics' for the listener.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Wire => "pg",
        }
    }

    /// Every place that can name a tenant there.
    pub(crate) fn sources(self) -> Vec<Source> {
        let bound: &[Source] = match self {
            Self::Http => &[Source::Token, Source::ApiKey],
            Self::Wire => &[Source::Token],
        };
        let named: &[Source] = match self {
            Self::Http => &Source::HTTP,
            Self::Wire => &Source::WIRE,
        };
        bound.iter().chain(named).copied().collect()
    }
}

/// What a client proves with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Nothing,
    Password,
    DataKey,
    ReadOnlyKey,
    AdminKey,
    /// A service credential for some tenants.
    Service,
    /// One for every tenant.
    ServiceForAll,
    /// A token of an installation's issuer.
    Token,
    /// One of a tenant's own issuer.
    OwnToken,
    /// One of the control plane's.
    GatewayToken,
    Certificate,
}

impl Kind {
    pub(crate) const ALL: [Self; 11] = [
        Self::Nothing,
        Self::Password,
        Self::DataKey,
        Self::ReadOnlyKey,
        Self::AdminKey,
        Self::Service,
        Self::ServiceForAll,
        Self::Token,
        Self::OwnToken,
        Self::GatewayToken,
        Self::Certificate,
    ];

    /// The table's word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Password => "password",
            Self::DataKey => "key:data",
            Self::ReadOnlyKey => "key:read-only",
            Self::AdminKey => "key:admin",
            Self::Service => "service:some",
            Self::ServiceForAll => "service:all",
            Self::Token => "jwt:any",
            Self::OwnToken => "jwt:own",
            Self::GatewayToken => "gateway-token",
            Self::Certificate => "certificate",
        }
    }

    pub(crate) const fn is_key(self) -> bool {
        matches!(self, Self::DataKey | Self::ReadOnlyKey | Self::AdminKey)
    }

    pub(crate) const fn is_token(self) -> bool {
        matches!(self, Self::Token | Self::OwnToken | Self::GatewayToken)
    }

    /// The place that names the tenant which the credential is for, if it says that by itself.
    pub(crate) const fn bound_by(self) -> Option<Source> {
        match self {
            Self::DataKey | Self::ReadOnlyKey | Self::AdminKey => Some(Source::ApiKey),
            Self::Token | Self::GatewayToken => Some(Source::Token),
            _ => None,
        }
    }
}

/// What is the matter with the tenant that is named, or with the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Case {
    Right,
    Other,
    NoTenant,
    Unknown,
    Purged,
    Suspended,
    /// Made up by somebody who has none, for a tenant that there is.
    Wrong,
    Expired,
    Revoked,
    /// The former one of a rotation, while both are good.
    BothOld,
    BothNew,
    /// The former one of a rotation that is over.
    GoneOld,
    GoneNew,
}

impl Case {
    pub(crate) const ALL: [Self; 13] = [
        Self::Right,
        Self::Other,
        Self::NoTenant,
        Self::Unknown,
        Self::Purged,
        Self::Suspended,
        Self::Wrong,
        Self::Expired,
        Self::Revoked,
        Self::BothOld,
        Self::BothNew,
        Self::GoneOld,
        Self::GoneNew,
    ];

    /// The table's word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Other => "other",
            Self::NoTenant => "none",
            Self::Unknown => "unknown",
            Self::Purged => "purged",
            Self::Suspended => "suspended",
            Self::Wrong => "wrong",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::BothOld => "both:old",
            Self::BothNew => "both:new",
            Self::GoneOld => "gone:old",
            Self::GoneNew => "gone:new",
        }
    }

    /// Is it about the tenant? The others are about the credential.
    pub(crate) const fn is_of_tenant(self) -> bool {
        matches!(
            self,
            Self::Right | Self::Other | Self::NoTenant | Self::Unknown | Self::Purged | Self::Suspended
        )
    }
}

/// One combination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Combination {
    pub way: Way,
    pub source: Source,
    pub kind: Kind,
    pub case: Case,
}

impl Combination {
    /// Every one, also those that there cannot be.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let sources = Way::ALL.into_iter().flat_map(|way| way.sources().into_iter().map(move |s| (way, s)));
        let kinds = sources.flat_map(|(way, source)| Kind::ALL.map(|kind| (way, source, kind)));
        kinds.flat_map(|(way, source, kind)| Case::ALL.map(|case| Self { way, source, kind, case }))
    }

    /// Can there be such a client?
    pub(crate) fn is_possible(self) -> bool {
        let Self { source, kind, case, .. } = self;
        let fits = match source {
            Source::ApiKey => kind.is_key(),
            Source::Token => kind.is_token(),
            _ => true,
        };
        let names_what_it_is_for = match case {
            Case::Other => source == Source::ApiKey || (source == Source::Token && kind != Kind::OwnToken),
            Case::NoTenant | Case::Unknown => {
                source == Source::ApiKey || (source == Source::Token && kind == Kind::GatewayToken)
            }
            _ => false,
        };
        let has_such = match kind {
            Kind::Nothing => case.is_of_tenant(),
            Kind::Certificate => !matches!(case, Case::GoneOld | Case::GoneNew),
            _ => true,
        };
        fits && !names_what_it_is_for && has_such
    }

    pub(crate) fn in_words(self) -> String {
        let Self { way, source, kind, case } = self;
        format!("{} {source} {} {}", way.as_str(), kind.as_str(), case.as_str())
    }
}
