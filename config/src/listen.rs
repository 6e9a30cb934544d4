//! The gateway's addresses.

use crate::section::Section;
use serde::Serialize;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use tenancy::AddressRange;

/// Ranges of trusted proxies. Each is looked at for every request that comes through one.
pub(crate) const TRUSTED_PROXIES_MAX: usize = 64;

/// A listener that proxies may speak the PROXY protocol to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxiedListener {
    /// `pg`
    Pg,
    /// `http`
    Http,
}

/// The word is none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is neither pg nor http")]
pub struct NoSuchListener;

impl FromStr for ProxiedListener {
    type Err = NoSuchListener;
    fn from_str(text: &str) -> Result<Self, NoSuchListener> {
        match text {
            "pg" => Ok(Self::Pg),
            "http" => Ok(Self::Http),
            _ => Err(NoSuchListener),
        }
    }
}

impl fmt::Display for ProxiedListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pg => "pg",
            Self::Http => "http",
        })
    }
}

/// Where a gateway listens. Port 0 picks a free one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GatewayListen {
    /// `listen.pg`: PostgreSQL clients, `127.0.0.1:6432`. Use `0.0.0.0:6432` to be reached from elsewhere.
    pub pg: SocketAddr,
    /// `listen.http`: SQL over HTTP, `127.0.0.1:8080`.
    pub http: SocketAddr,
    /// `listen.admin`: metrics and health, `127.0.0.1:9090`. It asks nobody who they are: keep it private.
    pub admin: SocketAddr,
    /// `listen.domain`: the domain below which host names name tenants, none. With `db.example.com`, a
    /// connection string for `acme.db.example.com` means the tenant acme, wherever else it names one too.
    /// Names below `localhost` always do.
    pub domain: Option<String>,
    /// `listen.reuse_port`: whether another gateway of the same user may listen on `pg` and `http` at the same time, false.
    /// It is how one gateway takes over from another on the same machine (SO_REUSEPORT): both have to say so. Any process
    /// of that user can then take a part of the clients. `admin` is never shared: whoever asks must know whom.
    pub reuse_port: bool,
    /// `listen.trusted_proxies`: addresses of proxies that are believed whom they pass on, as ranges, none. A proxy that is
    /// missing here counts as the client of all that come through it; one that should not be here can name any client.
    pub trusted_proxies: Vec<AddressRange>,
    /// `listen.proxy_protocol`: the listeners where trusted proxies begin with the PROXY protocol, version 2, `["pg"]`. A
    /// trusted proxy that does not is refused there, so that no client can say it in the proxy's place. For HTTP leave it
    /// out and have the proxy write `X-Forwarded-For` or `Forwarded`, unless it passes on bytes only.
    pub proxy_protocol: Vec<ProxiedListener>,
}

impl Default for GatewayListen {
    fn default() -> Self {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            pg: local(6432),
            http: local(8080),
            admin: local(9090),
            domain: None,
            reuse_port: false,
            trusted_proxies: Vec::new(),
            proxy_protocol: vec![ProxiedListener::Pg],
        }
    }
}

impl GatewayListen {
    /// Is this the address of a trusted proxy?
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|range| range.contains(address))
    }

    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let defaults = Self::default();
        let listen = Self {
            pg: section.text("pg", defaults.pg),
            http: section.text("http", defaults.http),
            admin: section.text("admin", defaults.admin),
            domain: section.optional("domain"),
            reuse_port: section.flag("reuse_port", defaults.reuse_port),
            trusted_proxies: section.words("trusted_proxies", defaults.trusted_proxies),
            proxy_protocol: section.words("proxy_protocol", defaults.proxy_protocol),
        };
        if listen.trusted_proxies.len() > TRUSTED_PROXIES_MAX {
            section.problem("trusted_proxies", format!("must be {TRUSTED_PROXIES_MAX} ranges at most"));
        }
        if listen.domain.as_deref().is_some_and(|domain| !is_domain(domain)) {
            section.problem("domain", "must be a domain name, such as db.example.com");
        }
        for (key, address, others) in [
            ("http", listen.http, [listen.pg, listen.admin]),
            ("admin", listen.admin, [listen.pg, listen.http]),
        ] {
            if address.port() != 0 && others.contains(&address) {
                section.problem(key, format!("{address} is taken by another listener of this gateway"));
            }
        }
        section.finish();
        listen
    }
}

/// Labels of letters, digits and hyphens, joined by dots (RFC 1035 §2.3.1).
fn is_domain(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

#[cfg(test)]
mod tests {
    use super::is_domain;

    #[test]
    fn domains_are_labels_and_dots() {
        for good in ["db.example.com", "localhost", "a-1.b"] {
            assert!(is_domain(good), "{good}");
        }
        for bad in ["", ".example.com", "example.com.", "-a.b", "a_b.c", "*.example.com", "example.com:5432"]
        {
            assert!(!is_domain(bad), "{bad}");
        }
    }
}
