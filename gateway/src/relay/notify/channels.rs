//! What one exchange does to that which its client listens to, until it is settled.

use super::ChannelChange;
use super::hub::Claim;
use crate::relay::effects::Effects;
use crate::relay::exchange::ClientState;

/// Changes that wait while one text commits transactions and begins the next.
const COMMITTED_MAX: usize = 1024;

/// What an exchange has to do with channels.
#[derive(Default)]
pub struct Channels {
    /// Committed, and to be settled when the server is idle.
    pub(super) committed: Vec<ChannelChange>,
    /// The connection listens by itself, and is to be rid of that.
    pub(super) listens: bool,
    /// What the client has heard from its own connection since that listens.
    pub(super) heard: Vec<Box<[u8]>>,
    /// The connection is to become the pool's listener.
    pub(super) claim: Option<Claim>,
    /// A NOTIFY is carried out.
    pub(super) notifies: bool,
    /// The listener is to be waited for.
    pub(super) asks: bool,
    /// The server is ready, and the client is told when the listener has answered.
    pub(super) is_held: bool,
    /// What the client listens to was changed in a way that cannot be told.
    pub(super) is_untold: bool,
    /// A NOTIFY was carried out since the client was last told: it is to know itself.
    pub(super) has_notified: bool,
    /// Bytes in the mailbox that are older than the lease: the server's process was another client's then.
    pub(super) mail_before: usize,
}

impl Channels {
    /// A connection was leased.
    #[must_use]
    pub fn begin(client: &ClientState) -> Self {
        let mail_before = client.listening.as_ref().map_or(0, |listening| listening.mailbox.bytes());
        Self { mail_before, ..Self::default() }
    }

    /// A statement with these effects is being carried out.
    pub fn note(&mut self, effects: Effects) {
        self.notifies |= effects.any_of(Effects::NOTIFIES);
    }

    /// A LISTEN or UNLISTEN is committed. Says what stays if there are too many: the connection listens, and knows.
    pub fn push(&mut self, change: ChannelChange) -> Effects {
        if self.committed.len() >= COMMITTED_MAX {
            self.is_untold = true;
            return Effects::LISTEN;
        }
        self.committed.push(change);
        Effects::NONE
    }

    /// What the client listens to is changed in a way that cannot be told.
    pub fn untold(&mut self) {
        self.is_untold = true;
    }

    /// The session was discarded.
    pub fn discard(&mut self) {
        self.committed.clear();
        self.committed.push(ChannelChange::UnlistenAll);
    }

    /// Something is still to be settled.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.is_untold || !self.committed.is_empty()
    }

    /// The server is ready, and the client does not know yet.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.is_held
    }

    /// The connection listens by itself, and is to be rid of that before it is anybody else's.
    #[must_use]
    pub fn is_untidy(&self) -> bool {
        self.listens
    }

    /// What the connection is to become, once it is given back.
    pub fn take_claim(&mut self) -> Option<Claim> {
        self.claim.take()
    }

    /// The client may have the channel from its own connection alone.
    pub(super) fn is_joining(&self) -> bool {
        !self.committed.is_empty() || self.is_held || self.claim.is_some()
    }
}
