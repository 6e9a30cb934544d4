//! The gateway's addresses.

use crate::section::Section;
use std::net::{Ipv4Addr, SocketAddr};

/// Where a gateway listens. Port 0 picks a free one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayListen {
    /// `listen.pg`: PostgreSQL clients, `127.0.0.1:6432`. Use `0.0.0.0:6432` to be reached from elsewhere.
    pub pg: SocketAddr,
    /// `listen.http`: SQL over HTTP, `127.0.0.1:8080`.
    pub http: SocketAddr,
    /// `listen.admin`: metrics and health, `127.0.0.1:9090`. It asks nobody who they are: keep it private.
    pub admin: SocketAddr,
}

impl Default for GatewayListen {
    fn default() -> Self {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self { pg: local(6432), http: local(8080), admin: local(9090) }
    }
}

impl GatewayListen {
    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let defaults = Self::default();
        let listen = Self {
            pg: section.text("pg", defaults.pg),
            http: section.text("http", defaults.http),
            admin: section.text("admin", defaults.admin),
        };
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
