//! A connection to a tenant's server, logged in.

use super::close;
use crate::pool::ConnectPermit;
use crate::relay::prepared::ServerStatements;
use crate::relay::settings::Settings;
use crate::stream::ServerStream;
use pgwire::CancelKey;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, ReadBuf};

/// A raw server connection. It holds no buffer: whoever leases it brings one.
///
/// When it is dropped the socket is closed in an orderly way in the background, and the permit goes back
/// once the server has let go.
pub struct ServerConnection {
    stream: Option<ServerStream>,
    permit: Option<ConnectPermit>,
    address: SocketAddr,
    cancel_key: CancelKey,
    opened: Instant,
    idle_since: Instant,
    condemned: bool,
    /// What the server last reported of the parameters it reports.
    pub parameters: Vec<(Box<str>, Box<str>)>,
    /// The session settings in force, as far as we set them.
    pub settings: Arc<Settings>,
    /// Settings were reset in a transaction whose end we did not follow: set all of them again.
    pub settings_uncertain: bool,
    /// Statements that are prepared on this connection.
    pub statements: ServerStatements,
}

impl ServerConnection {
    /// Takes over a socket on which the login is complete.
    #[must_use]
    pub fn new(
        stream: ServerStream,
        address: SocketAddr,
        permit: ConnectPermit,
        cancel_key: CancelKey,
        parameters: Vec<(Box<str>, Box<str>)>,
    ) -> Self {
        let now = Instant::now();
        Self {
            stream: Some(stream),
            permit: Some(permit),
            address,
            cancel_key,
            opened: now,
            idle_since: now,
            condemned: false,
            parameters,
            settings: Arc::default(),
            settings_uncertain: false,
            statements: ServerStatements::default(),
        }
    }

    /// The socket.
    pub fn stream(&mut self) -> Pin<&mut ServerStream> {
        Pin::new(self.stream.as_mut().expect("taken only by drop"))
    }

    /// Where a cancel request for this connection goes, and its key.
    #[must_use]
    pub fn cancel_target(&self) -> (SocketAddr, CancelKey) {
        (self.address, self.cancel_key)
    }

    /// Notes a parameter's new value.
    pub fn report_parameter(&mut self, name: &str, value: &str) {
        match self.parameters.iter_mut().find(|(known, _)| &**known == name) {
            Some((_, current)) => *current = value.into(),
            None => self.parameters.push((name.into(), value.into())),
        }
    }

    /// Does the server tell us when this setting changes?
    #[must_use]
    pub fn reports(&self, setting: &str) -> bool {
        self.parameters.iter().any(|(name, _)| name.eq_ignore_ascii_case(setting))
    }

    /// Nothing has arrived since the connection was put back. Whatever does arrive on an idle
    /// connection (an error, a changed setting, the end) makes it unfit for reuse.
    pub fn is_quiet(&mut self) -> bool {
        self.stream.as_mut().is_some_and(ServerStream::is_quiet)
    }

    /// This connection is not to be used again.
    pub fn condemn(&mut self) {
        self.condemned = true;
    }

    /// May the pool keep it?
    #[must_use]
    pub fn may_return(&self) -> bool {
        !self.condemned
    }

    /// From now on it is idle.
    pub fn mark_idle(&mut self) {
        self.idle_since = Instant::now();
    }

    /// How long it has been idle.
    #[must_use]
    pub fn idle_for(&self) -> Duration {
        self.idle_since.elapsed()
    }

    /// How long ago it was opened.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// Reads what has arrived.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        self.stream().poll_read(cx, into)
    }
}

impl Drop for ServerConnection {
    fn drop(&mut self) {
        if let (Some(stream), Some(permit)) = (self.stream.take(), self.permit.take()) {
            close::in_background(stream, permit, Some((self.address, self.cancel_key)));
        }
    }
}
