//! What a host name names, whether a request, a connection string or TLS brings it.

use super::claims::Claim;
use config::GatewayConfig;
use std::net::Ipv6Addr;
use tenancy::{DomainName, RESERVED_SLUGS, Source};

/// Below this domain host names always name tenants: it is every machine's own (RFC 6761 §6.3).
const LOCAL_DOMAIN: &str = "localhost";

/// Which host names name tenants, by the settings.
#[derive(Debug, Clone, Copy)]
pub struct Hosts<'a> {
    domain: Option<&'a str>,
    reserved: &'a [String],
}

impl<'a> Hosts<'a> {
    /// As set.
    #[must_use]
    pub fn of(config: &'a GatewayConfig) -> Self {
        Self { domain: config.listen.domain.as_deref(), reserved: &config.resolve.reserved_names }
    }

    /// The tenant's name: the label right in front of the gateway's domain. A name deeper below it, or elsewhere, or a
    /// reserved one, is nobody's.
    #[must_use]
    pub fn tenant_of(&self, host: &str) -> Option<String> {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let (label, parent) = host.split_once('.')?;
        let is_ours = self.ours().any(|domain| parent.eq_ignore_ascii_case(domain));
        (is_ours && !self.is_reserved(label)).then(|| label.to_owned())
    }

    /// What a host name says. `source` is where it stands, for a name below the gateway's domain.
    #[must_use]
    pub fn claim(&self, host: &str, source: Source) -> Option<Claim> {
        if let Some(tenant) = self.tenant_of(host) {
            return Some(Claim::name(source, &tenant));
        }
        let elsewhere: DomainName = host.parse().ok()?;
        (!self.ours().any(|domain| elsewhere.is_within(domain))).then(|| Claim::domain(elsewhere))
    }

    fn ours(&self) -> impl Iterator<Item = &'a str> {
        self.domain.into_iter().chain([LOCAL_DOMAIN])
    }

    fn is_reserved(&self, label: &str) -> bool {
        RESERVED_SLUGS.contains(&label) || self.reserved.iter().any(|reserved| reserved == label)
    }
}

/// The host of `host[:port]` (RFC 9110 §7.2, RFC 3986 §3.2.2). `None` if it is none: a name that somebody else may read
/// otherwise than we do must not count as no name.
#[must_use]
pub fn without_port(text: &str) -> Option<&str> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            address.parse::<Ipv6Addr>().ok()?;
            (address, if port.is_empty() { port } else { port.strip_prefix(':')? })
        }
        None => {
            let (host, port) = text.split_once(':').unwrap_or((text, ""));
            let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
            (is_name.then_some(host)?, port)
        }
    };
    port.bytes().all(|byte| byte.is_ascii_digit()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> GatewayConfig {
        let mut config = GatewayConfig::default();
        config.listen.domain = Some("DB.example.com".to_owned());
        config.resolve.reserved_names = vec!["status2".to_owned()];
        config
    }

    #[test]
    fn only_the_label_right_below_the_domain_names_a_tenant() {
        let config = config();
        let tenant = |host| Hosts::of(&config).tenant_of(host);
        assert_eq!(tenant("ACME.db.example.com.").as_deref(), Some("acme"));
        assert_eq!(tenant("acme.localhost").as_deref(), Some("acme"));
        for host in ["db.example.com", "a.b.db.example.com", "acme.example.com", "localhost", ""] {
            assert_eq!(tenant(host), None, "{host}");
        }
        assert_eq!(Hosts::of(&GatewayConfig::default()).tenant_of("acme.db.example.com"), None);
    }

    #[test]
    fn reserved_labels_name_nobody() {
        let config = config();
        for label in ["www", "app", "api", "admin", "status2"] {
            assert_eq!(
                Hosts::of(&config).claim(&format!("{label}.db.example.com"), Source::Host),
                None,
                "{label}"
            );
        }
    }

    #[test]
    fn what_is_no_host_is_told_from_one_that_names_nobody() {
        for (text, host) in [
            ("acme.localhost:80", "acme.localhost"),
            ("Acme.localhost.", "Acme.localhost."),
            ("[::1]:8080", "::1"),
            ("10.0.0.1", "10.0.0.1"),
            ("my_gateway:", "my_gateway"),
            ("", ""),
        ] {
            assert_eq!(without_port(text), Some(host), "{text}");
        }
        for text in
            ["acme.localhost:80:80", "a.localhost,b.localhost", "a b", "[::1]x", "[x]", "a@b", "a%2eb"]
        {
            assert_eq!(without_port(text), None, "{text}");
        }
    }

    #[test]
    fn a_host_elsewhere_may_be_a_tenants_own() {
        let config = config();
        let claim = |host| Hosts::of(&config).claim(host, Source::Host);
        assert_eq!(claim("SQL.acme.org"), Some(Claim::domain("sql.acme.org".parse().expect("a domain"))));
        for host in
            ["127.0.0.1", "::1", "db.example.com", "a.b.db.example.com", "gateway", "a.b.localhost", ""]
        {
            assert_eq!(claim(host), None, "{host}");
        }
    }
}
