//! The places in a request or connection that can name a tenant.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A place that can name the tenant. The word is used by settings, metrics, logs and messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A claim of a token that was verified.
    Token,
    /// The tenant that an API key belongs to.
    ApiKey,
    /// The header `X-Tenant-ID` of a service credential.
    Header,
    /// The path, `/t/acme/sql`.
    Path,
    /// The first label of the host that an HTTP request is for, or of a connection string's.
    Host,
    /// A domain of the tenant's own, as the host of a request or a connection string, or given to TLS.
    CustomDomain,
    /// The first label of the name that a PostgreSQL client gives to TLS.
    ServerName,
    /// The startup option `-c tenant=acme`.
    Option,
    /// What follows the dot in the user's name, `app.acme`.
    User,
    /// The database's name.
    Database,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 10] = [
        Self::Token,
        Self::ApiKey,
        Self::Header,
        Self::Path,
        Self::Host,
        Self::CustomDomain,
        Self::ServerName,
        Self::Option,
        Self::User,
        Self::Database,
    ];

    /// Those of an HTTP request that may be left out or put into another order, in the order in which they are
    /// asked unless somebody says otherwise. What a credential is bound to always counts.
    pub const HTTP: [Self; 7] =
        [Self::Header, Self::Path, Self::Host, Self::CustomDomain, Self::Option, Self::User, Self::Database];

    /// Likewise, those of a PostgreSQL connection.
    pub const WIRE: [Self; 5] =
        [Self::ServerName, Self::CustomDomain, Self::Option, Self::User, Self::Database];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::ApiKey => "api-key",
            Self::Header => "header",
            Self::Path => "path",
            Self::Host => "host",
            Self::CustomDomain => "custom-domain",
            Self::ServerName => "server-name",
            Self::Option => "option",
            Self::User => "user",
            Self::Database => "database",
        }
    }

    /// How a sentence calls it, without an article.
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::ApiKey => "API key",
            Self::Header => "X-Tenant-ID header",
            Self::Path => "path",
            Self::Host => "host",
            Self::CustomDomain => "domain",
            Self::ServerName => "name given to TLS",
            Self::Option => "startup option",
            Self::User => "user's suffix",
            Self::Database => "database",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no source.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is no place that can name a tenant")]
pub struct UnknownSource(String);

impl FromStr for Source {
    type Err = UnknownSource;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|source| source.as_str() == text)
            .ok_or_else(|| UnknownSource(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for source in Source::ALL {
            assert_eq!(source.as_str().parse::<Source>().unwrap(), source);
            assert_eq!(serde_json::to_value(source).unwrap(), source.as_str());
        }
        assert!("cookie".parse::<Source>().is_err());
    }
}
