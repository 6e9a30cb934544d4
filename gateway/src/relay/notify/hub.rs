//! The place in a pool where its listener's board hangs, if anybody listens.

use super::board::Board;
use super::listener;
use super::mailbox::Lost;
use crate::pool::servers::Server;
use crate::pool::{Lease, LongHold};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// At most one board.
#[derive(Debug, Default)]
pub struct Hub(Mutex<Option<Arc<Board>>>);

/// How much is listened to in one pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HubReading {
    /// Connections that listen: none or one.
    pub connections: u64,
    /// Clients that they listen for.
    pub clients: u64,
    /// Channels, each counted once.
    pub channels: u64,
}

impl HubReading {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            connections: self.connections + other.connections,
            clients: self.clients + other.clients,
            channels: self.channels + other.channels,
        }
    }
}

/// Whoever holds it is to bring the connection that listens. All who are on the board wait for that.
pub struct Claim {
    board: Arc<Board>,
    is_fulfilled: bool,
}

impl Hub {
    /// The board. A new one comes with a claim: there is nobody yet who listens.
    pub fn enter(&self) -> (Arc<Board>, Option<Claim>) {
        let mut current = self.lock();
        if let Some(board) = current.as_ref().filter(|board| !board.is_closed()) {
            return (Arc::clone(board), None);
        }
        let board = Arc::new(Board::default());
        *current = Some(Arc::clone(&board));
        (Arc::clone(&board), Some(Claim { board, is_fulfilled: false }))
    }

    /// Somebody listens, or is about to.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.lock().as_ref().is_some_and(|board| !board.is_closed())
    }

    /// Ends the listener. Whoever it listened for is told.
    pub fn close(&self) {
        if let Some(board) = self.lock().take() {
            board.close(Lost::Listener);
        }
    }

    /// For the metrics.
    #[must_use]
    pub fn reading(&self) -> HubReading {
        self.lock().as_ref().filter(|board| !board.is_closed()).map_or_else(HubReading::default, |board| {
            let (clients, channels) = board.counts();
            HubReading { connections: 1, clients, channels }
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Board>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// Brings the connection, which is idle, in sync and clean but for the channels that it listens to. One that an
    /// operator wants closed, or whose route has changed, is none to listen on; nor is one where the share of connections
    /// that may be kept is used up.
    pub fn fulfil(mut self, mut lease: Lease) {
        let is_unwanted = lease.server().listed().is_some_and(Server::close_needed);
        if lease.keep_long(LongHold::Listener).is_err() {
            self.board.close(Lost::NoneToKeep);
        } else if !is_unwanted && !lease.pool().is_retired() {
            self.is_fulfilled = true;
            tokio::spawn(listener::run(lease, Arc::clone(&self.board)));
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.is_fulfilled {
            self.board.close(Lost::Listener);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::notify::mailbox::Mailbox;

    #[test]
    fn the_first_to_enter_brings_the_connection() {
        let hub = Hub::default();
        assert!(!hub.is_open());
        let (board, claim) = hub.enter();
        let (same, none) = hub.enter();
        assert!(Arc::ptr_eq(&board, &same) && claim.is_some() && none.is_none());
        assert_eq!(hub.reading().connections, 1);
    }

    #[test]
    fn a_claim_that_is_given_up_ends_the_wait_of_all() {
        let hub = Hub::default();
        let (board, claim) = hub.enter();
        let mailbox = Arc::new(Mailbox::new(10));
        board.enter(1, &mailbox);
        board.ask(&mailbox);
        drop(claim);
        assert_eq!((mailbox.lost(), hub.is_open()), (Some(Lost::Listener), false));
        let (another, claim) = hub.enter();
        assert!(claim.is_some() && !Arc::ptr_eq(&board, &another));
    }
}
