//! What an HTTP request says of its tenant: host, path, and the connection string that drivers send along.
//!
//! The host is the request's own (RFC 9110 §7.2: `:authority` or `Host`). What a proxy says of another one
//! (`X-Forwarded-Host`, `Forwarded`) is never looked at: any client can send it.

use super::claims::{Claim, Claims};
use super::connection_string::ConnectionString;
use super::host::{Hosts, without_port};
use crate::error::Refusal;
use config::GatewayConfig;
use hyper::HeaderMap;
use hyper::header::HOST;
use hyper::http::request::Parts;
use tenancy::{ErrorKind, Source};

/// Where drivers put the connection string.
pub const CONNECTION_STRING: &str = "neon-connection-string";

/// Names the tenant by its id or slug. Only a service credential may.
pub const TENANT_HEADER: &str = "x-tenant-id";

/// What of a request says for which tenant it is, and who sends it.
#[derive(Debug)]
pub struct RequestNames {
    /// What names the tenant, but for the header that is not everybody's to use.
    claims: Vec<Claim>,
    /// What the header [`TENANT_HEADER`] says, each time that it is there.
    header: Vec<Claim>,
    /// The connection string, if there is one.
    pub connection_string: Option<ConnectionString>,
}

impl RequestNames {
    /// Reads them. `tenant_in_path` is the name in the path, if there is one.
    ///
    /// # Errors
    /// The host, the connection string or the header cannot be read, or there are two connection strings.
    pub fn read(
        parts: &Parts,
        tenant_in_path: Option<&str>,
        config: &GatewayConfig,
    ) -> Result<Self, Refusal> {
        let hosts = Hosts::of(config);
        let connection_string = connection_string(&parts.headers, hosts)?;
        let given = hosts_of(parts)
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| Refusal::protocol("the request's host is no host name or address"))?;
        let mut claims: Vec<Claim> =
            given.into_iter().filter_map(|host| hosts.claim(host, Source::Host)).collect();
        claims.extend(tenant_in_path.map(|name| Claim::name(Source::Path, name)));
        claims.extend(connection_string.iter().flat_map(|string| string.claims.clone()));
        let header = parts.headers.get_all(TENANT_HEADER).iter();
        let header =
            header.map(|value| value.to_str().map(|text| Claim::id_or_name(Source::Header, text.trim())));
        let header = header.collect::<Result<_, _>>();
        let header = header.map_err(|_not_text| Refusal::protocol("X-Tenant-ID is not plain text"))?;
        Ok(Self { claims, header, connection_string })
    }

    /// What names the tenant, where the header counts.
    #[must_use]
    pub fn with_header(&self, config: &GatewayConfig) -> Claims {
        let all = self.header.iter().chain(&self.claims).cloned();
        Claims::in_order(all, &config.resolve.http_sources)
    }

    /// What names the tenant, where the header does not count.
    #[must_use]
    pub fn without_header(&self, config: &GatewayConfig) -> Claims {
        Claims::in_order(self.claims.iter().cloned(), &config.resolve.http_sources)
    }

    /// Nobody but a service credential may name its tenant by the header, even if it names the right one: whoever sends
    /// it takes a parameter for a proof.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`].
    pub fn refuse_header(&self) -> Result<(), Refusal> {
        if self.header.is_empty() {
            return Ok(());
        }
        Err(Refusal::new(ErrorKind::Forbidden, "X-Tenant-ID is only for service credentials")
            .hint("leave the header out: a key or token says by itself which tenant it is for"))
    }
}

/// Every host that the request says it is for: one, if its sender is honest. `None` for what is none.
fn hosts_of(parts: &Parts) -> impl Iterator<Item = Option<&str>> {
    let authority = parts.uri.host().map(Some);
    let headers = parts.headers.get_all(HOST).iter().map(|value| value.to_str().ok());
    authority.into_iter().chain(headers).map(|host| host.and_then(without_port))
}

fn connection_string(headers: &HeaderMap, hosts: Hosts<'_>) -> Result<Option<ConnectionString>, Refusal> {
    let mut values = headers.get_all(CONNECTION_STRING).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::protocol("there are two connection strings"));
    }
    let text = std::str::from_utf8(value.as_bytes())
        .map_err(|_not_utf8| Refusal::protocol("the connection string is not valid UTF-8"))?;
    ConnectionString::parse(text, hosts).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    fn names(uri: &str, headers: &[(&str, &str)], tenant_in_path: Option<&str>) -> RequestNames {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        RequestNames::read(&parts, tenant_in_path, &GatewayConfig::default()).expect("good headers")
    }

    fn words(claims: &Claims) -> String {
        let words = |claim: &Claim| format!("{}={}", claim.source, claim.named.as_text());
        claims.firm().map(words).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_place_names_the_tenant() {
        let config = GatewayConfig::default();
        let plain = |uri, headers: &[_], path| words(&names(uri, headers, path).without_header(&config));
        assert_eq!(plain("/sql", &[("host", "acme.localhost:8080")], None), "host=acme");
        assert_eq!(plain("http://acme.localhost:8080/sql", &[], None), "host=acme");
        assert_eq!(plain("/sql", &[("host", "sql.acme.org")], None), "custom-domain=sql.acme.org");
        assert_eq!(plain("/t/acme/sql", &[("host", "127.0.0.1:8080")], Some("acme")), "path=acme");
        assert_eq!(
            plain("/sql", &[("host", "[::1]:8080"), ("x-forwarded-host", "acme.localhost")], None),
            ""
        );
        let string = ("neon-connection-string", "postgres://app@b.localhost/c");
        assert_eq!(plain("/sql", &[("host", "a.localhost"), string], None), "host=a host=b database=c");
    }

    #[test]
    fn a_second_host_is_not_overlooked() {
        let config = GatewayConfig::default();
        let two = names("http://a.localhost/sql", &[("host", "b.localhost"), ("host", "c.localhost")], None);
        assert_eq!(words(&two.without_header(&config)), "host=a host=b host=c");
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let string = ("neon-connection-string", "postgres://app@h/a");
        for headers in [&[("host", "acme.localhost:80:80")][..], &[("host", "a.x,b.x")], &[string, string]] {
            let mut request = Request::builder().uri("/sql");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let (parts, ()) = request.body(()).expect("a request").into_parts();
            let read = RequestNames::read(&parts, None, &GatewayConfig::default());
            assert_eq!(read.expect_err("refused").kind(), ErrorKind::ProtocolViolation, "{headers:?}");
        }
    }

    #[test]
    fn the_header_counts_only_where_it_may() {
        let config = GatewayConfig::default();
        let named = names("/sql", &[("x-tenant-id", "acme")], None);
        assert_eq!(words(&named.with_header(&config)), "header=acme");
        assert_eq!(words(&named.without_header(&config)), "");
        assert_eq!(named.refuse_header().expect_err("it is there").kind(), ErrorKind::Forbidden);
        assert!(names("/sql", &[], None).refuse_header().is_ok());
    }
}
