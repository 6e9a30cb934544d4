//! What there is on the HTTP listener: the one list that requests and the OpenAPI document go by.

use hyper::Method;

/// Something that is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// Statements.
    Sql,
    /// PostgreSQL's protocol in a WebSocket.
    WebSocket,
    /// What the tenant has.
    Features,
    /// Does the process run?
    Healthy,
    /// Does it take clients?
    Ready,
    /// This list, for programs.
    OpenApi,
}

impl Endpoint {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Sql, Self::WebSocket, Self::Features, Self::Healthy, Self::Ready, Self::OpenApi];

    /// Where it is.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Sql => "/sql",
            Self::WebSocket => "/v2",
            Self::Features => "/features",
            Self::Healthy => "/healthz",
            Self::Ready => "/readyz",
            Self::OpenApi => "/openapi.json",
        }
    }

    /// The methods that it takes, as the header `Allow` has them.
    #[must_use]
    pub const fn allow(self) -> &'static str {
        match self {
            Self::Sql => "POST, OPTIONS",
            Self::WebSocket => "GET",
            Self::Features => "GET, HEAD, OPTIONS",
            Self::Healthy | Self::Ready | Self::OpenApi => "GET, HEAD",
        }
    }

    /// Does it take this method?
    #[must_use]
    pub fn takes(self, method: &Method) -> bool {
        self.allow().split(", ").any(|taken| taken == method.as_str())
    }

    /// Is it a tenant's, and so below `/t/TENANT` as well?
    #[must_use]
    pub const fn is_tenants(self) -> bool {
        matches!(self, Self::Sql | Self::WebSocket | Self::Features)
    }

    /// What is at a path, and the tenant that the path names. `names_tenants`: may paths do that?
    #[must_use]
    pub fn at(path: &str, names_tenants: bool) -> Option<(Self, Option<&str>)> {
        let at_itself = Self::ALL.into_iter().find(|endpoint| endpoint.path() == path);
        if let Some(endpoint) = at_itself {
            return Some((endpoint, None));
        }
        let rest = path.strip_prefix("/t/").filter(|_| names_tenants)?;
        let of_tenants = Self::ALL.into_iter().filter(|endpoint| endpoint.is_tenants());
        let mut named =
            of_tenants.filter_map(|endpoint| Some((endpoint, Some(rest.strip_suffix(endpoint.path())?))));
        named.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_tenants_only_where_they_may() {
        assert_eq!(Endpoint::at("/sql", false), Some((Endpoint::Sql, None)));
        assert_eq!(Endpoint::at("/t/acme/sql", true), Some((Endpoint::Sql, Some("acme"))));
        assert_eq!(Endpoint::at("/t/acme/v2", true), Some((Endpoint::WebSocket, Some("acme"))));
        for path in ["/t/acme/sql", "/t/acme/healthz", "/sql/", "/", "/t//"] {
            assert_eq!(Endpoint::at(path, path.contains("healthz")), None, "{path}");
        }
    }
}
