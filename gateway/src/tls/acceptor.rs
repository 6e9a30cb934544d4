//! The server's side of a handshake with a client.

use super::certificate::Certificate;
use super::certificates::Certificates;
use super::files::Contents;
use super::x509::Parsed;
use super::{ALPN_POSTGRES, TlsError};
use crate::metrics::Counter;
use crate::stream::ClientStream;
use arc_swap::ArcSwap;
use config::TlsConfig;
use pgwire::scram::ChannelBinding;
use rustls::ServerConfig;
use rustls::server::{Acceptor as Hello, ClientHello};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;
use tokio_rustls::{LazyConfigAcceptor, server};

/// What a client is to speak inside TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inside {
    /// PostgreSQL's protocol, after the client asked for TLS with an SSLRequest.
    Postgres,
    /// PostgreSQL's protocol, with TLS from the first byte. Only then does the client have to name the protocol
    /// (ALPN), so that no client of another one can be led here.
    PostgresDirect,
    /// HTTP.
    Http,
}

/// What a client's TLS connection says of it.
#[derive(Debug, Default)]
pub struct TlsFacts {
    /// The name that the client asks for, in lower case.
    pub server_name: Option<String>,
    /// What its login can be bound to.
    pub binding: ChannelBinding,
    /// The common name of the certificate that it showed, if settings and certificate have it stand for a login.
    pub login: Option<String>,
}

/// Secures clients' connections. One for the whole gateway.
pub struct Acceptor {
    settings: TlsConfig,
    current: ArcSwap<Certificates>,
    /// The files' last state that was looked at, good or bad.
    pub(super) seen: Mutex<Seen>,
    /// Handshakes that succeeded.
    pub succeeded: Counter,
    /// Handshakes that did not.
    pub failed: Counter,
    /// New certificates taken into use.
    pub reloaded: Counter,
    /// New certificates that could not be used.
    pub reload_failed: Counter,
}

/// A state of the files, so that each is taken in, or complained about, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// All could be read.
    Contents([u8; 32]),
    /// Something could not, for this reason.
    Unreadable(String),
}

impl Acceptor {
    /// Reads the certificates. Blocks.
    ///
    /// # Errors
    /// Any of them is of no use.
    pub fn new(settings: TlsConfig) -> Result<Self, TlsError> {
        let contents = Contents::read(&settings)?;
        Ok(Self {
            current: ArcSwap::from_pointee(Certificates::load(&contents, &settings)?),
            seen: Mutex::new(Seen::Contents(contents.fingerprint)),
            settings,
            succeeded: Counter::default(),
            failed: Counter::default(),
            reloaded: Counter::default(),
            reload_failed: Counter::default(),
        })
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &TlsConfig {
        &self.settings
    }

    /// The certificates in use.
    #[must_use]
    pub fn certificates(&self) -> Arc<Certificates> {
        self.current.load_full()
    }

    pub(super) fn replace(&self, certificates: Certificates) {
        self.current.store(Arc::new(certificates));
    }

    pub(super) fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the connection an encrypted one.
    ///
    /// # Errors
    /// The client breaks off, or the two cannot agree. The client was told what TLS has to say on it.
    pub async fn accept(&self, stream: TcpStream, inside: Inside) -> io::Result<(ClientStream, TlsFacts)> {
        let accepted = self.handshake(stream, inside).await;
        if accepted.is_ok() {
            self.succeeded.inc();
        } else {
            self.failed.inc();
        }
        accepted
    }

    async fn handshake(&self, stream: TcpStream, inside: Inside) -> io::Result<(ClientStream, TlsFacts)> {
        let started = LazyConfigAcceptor::new(Hello::default(), stream).await?;
        let hello = started.client_hello();
        if inside == Inside::PostgresDirect && !names_postgres(&hello) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a direct TLS connection has to name the protocol (ALPN)",
            ));
        }
        let server_name = hello.server_name().map(str::to_ascii_lowercase);
        let certificates = self.certificates();
        let certificate = certificates
            .choose(server_name.as_deref())
            .ok_or_else(|| io::Error::other("there is no certificate"))?;
        let stream = started.into_stream(config(certificate, inside)).await?;
        let login = if self.settings.client_auth_is_login { common_name(&stream) } else { None };
        let facts = TlsFacts { server_name, binding: certificate.binding.clone(), login };
        Ok((stream.into(), facts))
    }
}

fn config(certificate: &Certificate, inside: Inside) -> Arc<ServerConfig> {
    match inside {
        Inside::Postgres | Inside::PostgresDirect => Arc::clone(&certificate.postgres),
        Inside::Http => Arc::clone(&certificate.http),
    }
}

fn names_postgres(hello: &ClientHello<'_>) -> bool {
    hello.alpn().is_some_and(|mut protocols| protocols.any(|protocol| protocol == ALPN_POSTGRES))
}

/// Of the client's certificate, which rustls has found to be good.
fn common_name(stream: &server::TlsStream<TcpStream>) -> Option<String> {
    let (_, session) = stream.get_ref();
    Parsed::read(session.peer_certificates()?.first()?)?.common_name()
}
