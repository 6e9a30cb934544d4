//! The place in a pool where its listener's board hangs, if anybody listens.

use super::board::Board;
use super::listener;
use super::lost::Lost;
use super::mailbox::Mailbox;
use super::settling::POOL_SIZE_MIN;
use crate::pool::servers::Server;
use crate::pool::{Keeping, Lease, LongHold};
use crate::relay::handover::ClientId;
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
    /// Has a client enter the board. Where there is none, because nobody listens yet, a new one comes with a claim;
    /// `None`: the client has no connection to bring.
    pub fn enter(
        &self,
        client: ClientId,
        mailbox: &Arc<Mailbox>,
        may_claim: bool,
    ) -> Option<(Arc<Board>, Option<Claim>)> {
        // Held to the end, so that nobody waits for a listener that a client has promised who cannot bring it.
        let mut current = self.lock();
        if let Some(board) = current.as_ref().filter(|board| board.enter(client, mailbox)) {
            return Some((Arc::clone(board), None));
        }
        let board = Arc::new(Board::default());
        if !may_claim || !board.enter(client, mailbox) {
            return None;
        }
        *current = Some(Arc::clone(&board));
        Some((Arc::clone(&board), Some(Claim { board, is_fulfilled: false })))
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
    /// operator wants closed, or whose route has changed, is none to listen on; nor is the last that the pool may have now,
    /// the last that its siblings leave to transactions, or one where the share of connections that may be kept is used up.
    pub fn fulfil(mut self, mut lease: Lease) {
        let is_last = lease.pool().limits().pool_size < POOL_SIZE_MIN;
        let is_unwanted = is_last || lease.server().listed().is_some_and(Server::close_needed);
        if is_unwanted || lease.pool().is_retired() {
            return;
        }
        if lease.keep_long(LongHold::Listener).is_err() {
            self.fulfil_in_turn(lease);
            return;
        }
        self.is_fulfilled = true;
        tokio::spawn(listener::run(lease, Arc::clone(&self.board)));
    }

    /// More may be kept once the catalog was asked. What is heard meanwhile waits on the connection.
    fn fulfil_in_turn(mut self, mut lease: Lease) {
        let asked = Keeping::ask(&lease, LongHold::Listener);
        tokio::spawn(async move {
            let Ok(permit) = asked.await else { return self.board.close(Lost::NoneToKeep) };
            lease.keep_with(permit);
            self.is_fulfilled = true;
            listener::run(lease, Arc::clone(&self.board)).await;
        });
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
    use std::collections::HashSet;

    fn mailbox() -> Arc<Mailbox> {
        Arc::new(Mailbox::new(10))
    }

    fn is_open(hub: &Hub) -> bool {
        hub.reading() != HubReading::default()
    }

    #[test]
    fn the_first_to_enter_brings_the_connection() {
        let (hub, one, two) = (Hub::default(), mailbox(), mailbox());
        assert!(!is_open(&hub));
        let (board, claim) = hub.enter(1, &one, true).expect("it brings one");
        let (same, none) = hub.enter(2, &two, true).expect("there is a board");
        assert!(Arc::ptr_eq(&board, &same) && claim.is_some() && none.is_none());
        assert_eq!(hub.reading(), HubReading { connections: 1, clients: 2, channels: 0 });
    }

    #[test]
    fn who_brings_no_connection_enters_only_where_somebody_else_does() {
        let (hub, one, two) = (Hub::default(), mailbox(), mailbox());
        assert!(hub.enter(1, &one, false).is_none() && !is_open(&hub));
        let (board, _claim) = hub.enter(1, &one, true).expect("it brings one");
        assert!(hub.enter(2, &two, false).is_some_and(|(same, _)| Arc::ptr_eq(&board, &same)));
        // With the last client the listener goes.
        board.leave(2, &HashSet::new());
        board.leave(1, &HashSet::new());
        assert!(hub.enter(2, &two, false).is_none() && two.lost().is_none());
    }

    #[test]
    fn a_claim_that_is_given_up_ends_the_wait_of_all() {
        let (hub, one) = (Hub::default(), mailbox());
        let (board, claim) = hub.enter(1, &one, true).expect("it brings one");
        board.ask(&one);
        drop(claim);
        assert_eq!((one.lost(), is_open(&hub)), (Some(Lost::Listener), false));
        let (another, claim) = hub.enter(1, &mailbox(), true).expect("it brings one");
        assert!(claim.is_some() && !Arc::ptr_eq(&board, &another));
    }
}
