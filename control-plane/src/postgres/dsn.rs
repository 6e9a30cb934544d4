//! The admin DSN that an operator registers a cluster with.
//!
//! It is taken apart once; from then on the password lives in a [`Secret`] and the rest can be shown.
//! No error repeats any part of the text, because every part may be a misplaced password.

use net::dsn::TlsWords;
use tenancy::Secret;
use tokio_postgres::config::Host;

/// Where admin sessions go when the DSN names no database. Never a template.
const ADMIN_DATABASE_DEFAULT: &str = "postgres";

/// PostgreSQL's registered port.
const PORT_DEFAULT: u16 = 5432;

/// An admin DSN, taken apart.
#[derive(Debug, Clone)]
pub(crate) struct AdminDsn {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) database: String,
}

/// Why a DSN was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DsnError {
    #[error("it is not a connection string")]
    Malformed,
    #[error("it names no host, or more than one: a cluster is reached at one address")]
    NotOneHost,
    #[error(
        "it names a socket directory: gateways reach the cluster over TCP, so give a host name or address"
    )]
    SocketDirectory,
    #[error("it names no user")]
    NoUser,
    #[error(
        "it points to a template database: a session there blocks every CREATE DATABASE, use \"postgres\""
    )]
    TemplateDatabase,
    #[error("it says how TLS is used: tls_mode and tls_ca say that, for gateways too")]
    SaysTls,
}

impl AdminDsn {
    /// Reads a URL or a key-value string.
    pub(crate) fn parse(text: &str) -> Result<Self, DsnError> {
        let said = match net::dsn::without_tls(text) {
            Ok((_, words)) => words != TlsWords::default(),
            Err(net::dsn::DsnError::Mode) => true,
            Err(net::dsn::DsnError::Malformed) => return Err(DsnError::Malformed),
        };
        if said {
            return Err(DsnError::SaysTls);
        }
        let parsed: tokio_postgres::Config = text.parse().map_err(|_| DsnError::Malformed)?;
        let database = parsed.get_dbname().unwrap_or(ADMIN_DATABASE_DEFAULT);
        if matches!(database, "template0" | "template1") {
            return Err(DsnError::TemplateDatabase);
        }
        Ok(Self {
            host: one_host(&parsed)?,
            port: one_port(&parsed)?,
            user: parsed.get_user().ok_or(DsnError::NoUser)?.to_owned(),
            password: password(&parsed)?,
            database: database.to_owned(),
        })
    }
}

fn one_host(parsed: &tokio_postgres::Config) -> Result<String, DsnError> {
    match parsed.get_hosts() {
        [Host::Tcp(host)] if !host.is_empty() => Ok(host.clone()),
        [Host::Unix(_)] => Err(DsnError::SocketDirectory),
        _ => Err(DsnError::NotOneHost),
    }
}

fn one_port(parsed: &tokio_postgres::Config) -> Result<u16, DsnError> {
    match parsed.get_ports() {
        [] => Ok(PORT_DEFAULT),
        [port] => Ok(*port),
        _ => Err(DsnError::NotOneHost),
    }
}

/// An empty password is kept as such: servers that trust our address need none.
fn password(parsed: &tokio_postgres::Config) -> Result<Secret, DsnError> {
    let bytes = parsed.get_password().unwrap_or_default().to_vec();
    String::from_utf8(bytes).map(Secret::new).map_err(|_| DsnError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_and_completed() {
        let dsn = AdminDsn::parse("postgres://admin:s%40fe@db.example.com").unwrap();
        assert_eq!((dsn.host.as_str(), dsn.port, dsn.user.as_str()), ("db.example.com", 5432, "admin"));
        assert_eq!((dsn.database.as_str(), dsn.password.expose()), ("postgres", "s@fe"));
    }

    #[test]
    fn what_cannot_work_is_refused_by_its_own_name() {
        for (text, expected) in [
            ("postgres://a@h1,h2/postgres", DsnError::NotOneHost),
            ("host=/var/run/postgresql user=a", DsnError::SocketDirectory),
            ("postgres://h/postgres", DsnError::NoUser),
            ("postgres://a@h/template1", DsnError::TemplateDatabase),
            ("postgres://a@h/postgres?sslmode=verify-full", DsnError::SaysTls),
            ("host=h user=a sslmode=prefer", DsnError::SaysTls),
            ("port=x", DsnError::Malformed),
        ] {
            assert_eq!(AdminDsn::parse(text).unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn no_error_repeats_the_text() {
        let error = AdminDsn::parse("postgres://admin:hunter2@h/template1").unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
        let shown = format!("{:?}", AdminDsn::parse("postgres://admin:hunter2@h/postgres").unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
