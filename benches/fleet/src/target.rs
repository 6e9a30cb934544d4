//! Where tenants are reached: one connection string for all, with the tenant's number in it, or one a line of a file.

use pgwire::frontend::write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use tenancy::Secret;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// Stands for the tenant's number in a template.
const NUMBER: &str = "{n}";

/// A place that a number of tenants are reached at.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// `{n}` is the tenant's number.
    Template(String),
    /// The first line is tenant 1's.
    Lines(Vec<String>),
}

/// Why a connection string is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    /// The file cannot be read.
    #[error("the file {path} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        reason: std::io::Error,
    },
    /// There are fewer lines than tenants.
    #[error("there is no connection string for tenant {0}")]
    Missing(u32),
    /// It is no connection string, or one without a TCP host, a user and a database.
    #[error("the connection string of tenant {tenant} is of no use: {reason}")]
    Unusable {
        /// The tenant.
        tenant: u32,
        /// Why.
        reason: String,
    },
}

/// What a client needs to log in as one tenant.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    /// The whole startup packet.
    pub(crate) startup: Vec<u8>,
    pub(crate) password: Secret,
}

impl Target {
    /// Reads a file with a connection string a line.
    pub(crate) fn read(path: &Path) -> Result<Self, TargetError> {
        let text = std::fs::read_to_string(path)
            .map_err(|reason| TargetError::Unreadable { path: path.display().to_string(), reason })?;
        Ok(Self::Lines(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()))
    }

    /// The endpoint of one tenant, numbered from 1.
    pub(crate) fn endpoint(&self, tenant: u32) -> Result<Endpoint, TargetError> {
        let text = match self {
            Self::Template(template) => template.replace(NUMBER, &tenant.to_string()),
            Self::Lines(lines) => {
                let index = usize::try_from(tenant).unwrap_or(usize::MAX).wrapping_sub(1);
                lines.get(index).ok_or(TargetError::Missing(tenant))?.clone()
            }
        };
        let config: Config = text.parse().map_err(|error: tokio_postgres::Error| unusable(tenant, &error))?;
        endpoint(&config).map_err(|reason| TargetError::Unusable { tenant, reason })
    }
}

fn unusable(tenant: u32, error: &tokio_postgres::Error) -> TargetError {
    TargetError::Unusable { tenant, reason: error.to_string() }
}

fn endpoint(config: &Config) -> Result<Endpoint, String> {
    let Some(Host::Tcp(host)) = config.get_hosts().first() else {
        return Err("it names no host".to_owned());
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let mut addresses = (host.as_str(), port).to_socket_addrs().map_err(|error| error.to_string())?;
    let user = config.get_user().ok_or("it names no user")?;
    let database = config.get_dbname().unwrap_or(user);
    let mut startup = Vec::new();
    write::startup(&mut startup, [("user", user), ("database", database)])
        .map_err(|error| error.to_string())?;
    let password = String::from_utf8_lossy(config.get_password().unwrap_or_default()).into_owned();
    Ok(Endpoint {
        address: addresses.next().ok_or("its host has no address")?,
        startup,
        password: Secret::new(password),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_takes_the_number_everywhere() {
        let target = Target::Template("host=127.0.0.1 port=6432 user=u{n}.t{n} dbname=t{n}".to_owned());
        let endpoint = target.endpoint(17).unwrap();
        assert_eq!(endpoint.address, "127.0.0.1:6432".parse().unwrap());
        let startup = String::from_utf8_lossy(&endpoint.startup).into_owned();
        assert!(startup.contains("user\0u17.t17\0database\0t17\0"), "{startup:?}");
    }

    #[test]
    fn lines_are_numbered_from_one() {
        let target = Target::Lines(vec!["postgres://a:secret@127.0.0.1:1/b".to_owned()]);
        assert_eq!(target.endpoint(1).unwrap().password.expose(), "secret");
        assert!(matches!(target.endpoint(2), Err(TargetError::Missing(2))));
        assert!(matches!(target.endpoint(0), Err(TargetError::Missing(0))));
    }
}
