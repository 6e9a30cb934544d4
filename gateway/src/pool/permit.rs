//! What a cluster's budget has granted: the right to hold one connection, and to hold it for long.

use super::Cluster;
use super::allocator::{LongHold, MemberId, Phase};
use std::sync::Arc;

/// The right to hold one connection to a cluster, from before it is dialled until its server has closed it.
///
/// The count therefore never falls behind what the server sees: PostgreSQL frees a backend's slot before it closes
/// the socket.
pub struct ConnectPermit {
    cluster: Arc<Cluster>,
    member: MemberId,
    phase: Phase,
}

impl ConnectPermit {
    pub(super) fn new(cluster: Arc<Cluster>, member: MemberId) -> Self {
        Self { cluster, member, phase: Phase::Open }
    }

    /// The connection is being closed; the permit returns once the server has let go.
    pub fn mark_closing(&mut self) {
        if self.phase == Phase::Open {
            self.pass_to(Phase::Closing);
        }
    }

    /// The login has come to nothing, and what there is of a connection is being closed.
    pub fn mark_broken_off(&mut self) {
        if self.phase == Phase::Open {
            self.pass_to(Phase::BrokenOff);
        }
    }

    /// The connection was closed, and the server does not let go of it: nobody is to wait for the permit.
    pub fn mark_stuck(&mut self) {
        if self.phase == Phase::Closing {
            self.pass_to(Phase::Stuck);
        }
    }

    /// It is about to be closed, and the allocator knows.
    pub fn is_given_up(&mut self) {
        self.phase = Phase::Closing;
    }

    fn pass_to(&mut self, phase: Phase) {
        let from = std::mem::replace(&mut self.phase, phase);
        self.cluster.tell(|allocator| allocator.passes(self.member, from, phase));
    }
}

impl Drop for ConnectPermit {
    fn drop(&mut self) {
        self.cluster.returned(self.member, self.phase);
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

    /// It is held for something else from now on. `false`: it may not be.
    pub fn change_kind(&mut self, kind: LongHold) -> bool {
        let is_changed = self.cluster.change_long(self.member, self.kind, kind);
        if is_changed {
            self.kind = kind;
        }
        is_changed
    }
}

impl Drop for LongPermit {
    fn drop(&mut self) {
        self.cluster.end_long(self.member, self.kind);
    }
}
