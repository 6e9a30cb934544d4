//! A connection to a tenant's server, logged in.

use super::session_defaults::SessionDefaults;
use super::{CancelTarget, close};
use crate::pool::ConnectPermit;
use crate::pool::expiry::Expiry;
use crate::pool::servers::{Purpose, Server, ServerGuard, Servers};
use crate::relay::handover::Traces;
use crate::relay::prepared::ServerStatements;
use crate::relay::readable;
use crate::relay::settings::Settings;
use crate::stream::ServerStream;
use crate::workers::WorkerId;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, ReadBuf};

/// Used this short a time ago, a connection is taken for what its thread knows of it. Under load connections change
/// hands faster than that, and asking the kernel would cost each transaction a system call.
const USED_JUST_NOW: Duration = Duration::from_millis(50);

/// A raw server connection. It holds no buffer: whoever leases it brings one.
///
/// When it is dropped the socket is closed in an orderly way in the background, and the permit goes back
/// once the server has let go.
pub struct ServerConnection {
    stream: Option<ServerStream>,
    permit: Option<ConnectPermit>,
    /// The worker on whose thread its events arrive.
    home: Option<WorkerId>,
    cancel: CancelTarget,
    /// It owes replies and will not be waited for.
    is_at_work: bool,
    opened: Instant,
    idle_since: Instant,
    /// When its pool's turn began to use it, while there are not enough connections for all.
    turn_began: Instant,
    /// Its place in the list that operators see; none before a pool has taken it over.
    listed: Option<ServerGuard>,
    /// What the server last reported of the parameters it reports. Changed by [`Self::report_parameter`] alone.
    pub parameters: Vec<(Box<str>, Box<str>)>,
    /// Texts can be read under them. Asked with every transaction.
    is_readable: bool,
    /// What its session began with.
    pub began_with: SessionDefaults,
    /// The session settings in force, as far as we set them.
    pub settings: Arc<Settings>,
    /// Settings were reset in a transaction whose end we did not follow: set all of them again.
    pub settings_uncertain: bool,
    /// Statements that are prepared on this connection.
    pub statements: ServerStatements,
    /// Who has used it, and for what.
    pub traces: Traces,
}

impl ServerConnection {
    /// Takes over a socket on which the login is complete.
    #[must_use]
    pub fn new(
        stream: ServerStream,
        permit: ConnectPermit,
        cancel: CancelTarget,
        parameters: Vec<(Box<str>, Box<str>)>,
    ) -> Self {
        let now = Instant::now();
        Self {
            stream: Some(stream),
            permit: Some(permit),
            home: WorkerId::current(),
            cancel,
            is_at_work: false,
            opened: now,
            idle_since: now,
            turn_began: now,
            listed: None,
            is_readable: readable::under(&parameters),
            parameters,
            began_with: SessionDefaults::default(),
            settings: Arc::default(),
            settings_uncertain: false,
            statements: ServerStatements::default(),
            traces: Traces::default(),
        }
    }

    /// Whoever leased it gives it up while it owes replies: closing it ends the work too.
    pub fn left_at_work(&mut self) {
        self.is_at_work = true;
    }

    /// The worker on whose thread its events arrive; none if that is no worker's.
    #[must_use]
    pub fn home(&self) -> Option<WorkerId> {
        self.home
    }

    /// Has its events arrive on this thread from now on. Where they cannot, they arrive as before: it works from
    /// anywhere, only not as fast.
    pub fn come_here(&mut self) {
        let here = WorkerId::current();
        if self.home == here {
            return;
        }
        match self.stream.as_mut().map(ServerStream::come_here) {
            Some(Ok(())) => self.home = here,
            Some(Err(error)) => tracing::debug!(%error, "a server connection stays on another thread"),
            None => {}
        }
    }

    /// The socket.
    pub fn stream(&mut self) -> Pin<&mut ServerStream> {
        Pin::new(self.stream.as_mut().expect("taken only by drop"))
    }

    /// Enters it into a list of connections until it is dropped. `purpose` is told the server's address, ours,
    /// the server's process, and whether the connection is encrypted.
    pub fn list(
        &mut self,
        servers: &Arc<Servers>,
        purpose: impl FnOnce(SocketAddr, Option<SocketAddr>, i32, bool) -> Purpose,
    ) {
        let local = self.stream.as_ref().and_then(|stream| stream.socket().local_addr().ok());
        let is_encrypted = matches!(self.stream, Some(ServerStream::Tls(_)));
        let purpose = purpose(self.cancel.address(), local, self.cancel.key().process_id, is_encrypted);
        self.listed = Some(servers.enter(purpose));
    }

    /// What operators see of it.
    #[must_use]
    pub fn listed(&self) -> Option<&Server> {
        self.listed.as_ref().map(|guard| &**guard.server())
    }

    /// Where a cancel request for this connection goes, and its key.
    #[must_use]
    pub fn cancel_target(&self) -> CancelTarget {
        self.cancel.clone()
    }

    /// Notes a parameter's new value.
    pub fn report_parameter(&mut self, name: &str, value: &str) {
        match self.parameters.iter_mut().find(|(known, _)| &**known == name) {
            Some((_, current)) => *current = value.into(),
            None => self.parameters.push((name.into(), value.into())),
        }
        self.is_readable = readable::under(&self.parameters);
    }

    /// Can the texts of statements be read under the settings that the session has now?
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.is_readable
    }

    /// Does the server tell us when this setting changes?
    #[must_use]
    pub fn reports(&self, setting: &str) -> bool {
        self.parameters.iter().any(|(name, _)| name.eq_ignore_ascii_case(setting))
    }

    /// Nothing has arrived since the connection was put back. Whatever does arrive on an idle
    /// connection (an error, a changed setting, the end) makes it unfit for reuse.
    ///
    /// The kernel is asked too: a thread that is busy learns late of what has arrived.
    pub fn is_quiet(&mut self, now: Instant) -> bool {
        let idle_for = now.saturating_duration_since(self.idle_since);
        let was_used_just_now = self.home == WorkerId::current() && idle_for < USED_JUST_NOW;
        let quiet = |stream: &mut ServerStream| {
            stream.is_quiet() && (was_used_just_now || stream.has_nothing_in_the_kernel())
        };
        self.stream.as_mut().is_some_and(quiet)
    }

    /// From now on it is idle.
    pub fn mark_idle(&mut self, now: Instant) {
        self.idle_since = now;
    }

    /// Since when it is idle.
    #[must_use]
    pub fn idle_since(&self) -> Instant {
        self.idle_since
    }

    /// How long ago it was opened.
    #[must_use]
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.opened)
    }

    /// When it is to be closed if nobody uses it before.
    #[must_use]
    pub fn expires(&self, expiry: &Expiry) -> Instant {
        (self.idle_since + expiry.idle_timeout).min(self.opened + expiry.lifetime_max)
    }

    /// How long its pool's turn has lasted.
    #[must_use]
    pub fn turn_lasts(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.turn_began)
    }

    /// Its pool's next turn begins.
    pub fn turn_begins(&mut self, now: Instant) {
        self.turn_began = now;
    }

    /// It is about to be dropped, and the cluster's allocator counts on its permit.
    pub fn is_given_up(&mut self) {
        if let Some(permit) = &mut self.permit {
            permit.is_given_up();
        }
    }

    /// Reads what has arrived.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        self.stream().poll_read(cx, into)
    }
}

impl Drop for ServerConnection {
    fn drop(&mut self) {
        if let (Some(stream), Some(permit)) = (self.stream.take(), self.permit.take()) {
            let cancel = close::Cancel { target: self.cancel.clone(), is_at_work: self.is_at_work };
            close::in_background(stream, permit, cancel);
        }
    }
}
