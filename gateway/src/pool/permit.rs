//! What a cluster's budget has granted: the right to hold one connection, and to hold it for long.

use super::Cluster;
use super::allocator::{LongHold, MemberId};
use std::sync::Arc;

/// The right to hold one connection to a cluster, from before it is dialled until its server has closed it.
///
/// The count therefore never falls behind what the server sees: PostgreSQL frees a backend's slot before it closes
/// the socket.
pub struct ConnectPermit {
    cluster: Arc<Cluster>,
    member: MemberId,
    is_closing: bool,
}

impl ConnectPermit {
    pub(super) fn new(cluster: Arc<Cluster>, member: MemberId) -> Self {
        Self { cluster, member, is_closing: false }
    }

    /// The connection is being closed; the permit returns once the server has let go.
    pub fn mark_closing(&mut self) {
        if !self.is_closing {
            self.is_closing = true;
            self.cluster.tell(|allocator| allocator.closing(self.member));
        }
    }

    /// The same where the allocator knows.
    pub fn is_given_up(&mut self) {
        self.is_closing = true;
    }
}

impl Drop for ConnectPermit {
    fn drop(&mut self) {
        self.cluster.returned(self.member, self.is_closing);
    }
}

/// The right to hold a connection for longer than a transaction.
pub struct LongPermit {
    cluster: Arc<Cluster>,
    member: MemberId,
    kind: LongHold,
}

impl LongPermit {
    pub(super) fn new(cluster: Arc<Cluster>, member: MemberId, kind: LongHold) -> Self {
        Self { cluster, member, kind }
    }

    /// What it is held for.
    #[must_use]
    pub fn kind(&self) -> LongHold {
        self.kind
    }
}

impl Drop for LongPermit {
    fn drop(&mut self) {
        self.cluster.end_long(self.member, self.kind);
    }
}
