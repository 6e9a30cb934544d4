//! What the server still owes, and to whom.
//!
//! Every message to the server that will be answered leaves an entry. A reply from the server must
//! fit the entry in front, else the two sides are out of sync and the connection is condemned. The
//! rules are those of the extended query protocol
//! (<https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY>).

mod due;
mod settle;

pub use due::{Due, Origin, Request};
pub use settle::{Settled, Verdict};

use super::changes::Told;
use super::effects::Effects;
use super::effects::change::Change;
use super::prepared::Statement;
use crate::error::Refusal;
use due::Counts;
use std::collections::VecDeque;
use std::sync::Arc;

/// Replies that a ledger keeps room for; a client that sends more ahead is unusual.
const DUE_KEPT: usize = 256;

/// The replies that are due, in order.
#[derive(Debug, Default)]
pub struct Ledger {
    due: VecDeque<Due>,
    counts: Counts,
    /// The server reads COPY data from the client and answers nothing until its end.
    copy_in: bool,
    /// Requests of the extended protocol were sent since the server was last ready. Though they be
    /// answered (a client can ask for that with Flush), the server keeps their transaction open.
    owes_sync: bool,
    /// The server throws away what it gets until a Sync, and none had been sent when it began to.
    skipping: bool,
    /// A LISTEN was among what has become due since nothing was.
    subscribes: bool,
    /// The request in front has had a result or an error. One that brings its own ReadyForQuery does not end
    /// without: a ReadyForQuery before it belongs to nobody.
    answered: bool,
}

impl Ledger {
    /// Makes it as good as new, keeping its memory.
    pub fn reset(&mut self) {
        self.due.clear();
        self.due.shrink_to(DUE_KEPT);
        self.counts = Counts::default();
        (self.copy_in, self.owes_sync, self.skipping) = (false, false, false);
        (self.answered, self.subscribes) = (false, false);
    }

    /// Nothing is due.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    /// The server throws away everything up to a Sync that was not sent yet, so nothing else need be sent
    /// to it. What follows that Sync is carried out, whether or not the server has come to it.
    #[must_use]
    pub fn is_skipping(&self) -> bool {
        self.skipping && self.counts.readies == 0
    }

    /// Nothing is due, and the server waits for no Sync: what it said last of itself still holds.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.due.is_empty() && !self.owes_sync
    }

    /// How many replies are due.
    #[must_use]
    pub fn len(&self) -> usize {
        self.due.len()
    }

    /// A ReadyForQuery for the client is among them: the client has ended a request.
    #[must_use]
    pub fn awaits_ready(&self) -> bool {
        self.counts.client_readies > 0
    }

    /// A LISTEN has been sent since nothing was due.
    #[must_use]
    pub fn subscribes(&self) -> bool {
        self.subscribes && !self.due.is_empty()
    }

    /// The client is owed nothing and has nothing open: what it sends now begins a request.
    #[must_use]
    pub fn begins_request(&self) -> bool {
        self.due.len() == self.counts.setups && !self.owes_sync
    }

    /// All that is due is ours to give: the server will say nothing that our replies could go along with.
    #[must_use]
    pub fn owes_only_local_replies(&self) -> bool {
        self.counts.locals > 0 && self.due.len() == self.counts.locals
    }

    /// What the server answers next: replies of ours may stand before it.
    #[must_use]
    pub fn next_of_server(&self) -> Option<&Due> {
        if self.skipping { None } else { self.due.iter().find(|due| due.origin != Origin::Local) }
    }

    /// What the error is answered with that the server has just raised, if that is not its own.
    pub fn next_refusal(&mut self) -> Option<Refusal> {
        let front = self.due.iter_mut().find(|due| due.origin != Origin::Local)?;
        front.refusal.take().map(|refusal| *refusal)
    }

    /// What the statement changes that the server has just completed, if that is what its tag tells.
    pub fn next_change(&mut self, told: Told) -> Option<Change> {
        let front = self.due.iter_mut().find(|due| due.origin != Origin::Local)?;
        front.changes.pop_if(|change| told.fits(change))
    }

    /// The text that has just run was to tell of more changes than it has.
    #[must_use]
    pub fn leaves_changes_untold(&self) -> bool {
        let front = self.next_of_server();
        front.is_some_and(|due| due.request == Request::Query && !due.changes.is_empty())
    }

    /// Notes that a reply is due.
    pub fn expect(&mut self, due: Due) {
        // What we set the session up with always comes with its own Sync.
        self.owes_sync |= due.request.is_extended() && !due.origin.is_ours();
        self.push(due);
    }

    /// Does it depend on a reply still due whether the client has this statement by this name? What is sent
    /// before the next Sync fails together with the Parse; what is sent after it does not.
    #[must_use]
    pub fn is_uncertain(&self, statement: &Arc<Statement>, client_name: &[u8]) -> bool {
        if self.counts.names == 0 || self.counts.readies == 0 {
            return false;
        }
        let Some(last_ready) = self.due.iter().rposition(|due| due.request.ends_with_ready()) else {
            return false;
        };
        self.due.range(..last_ready).filter(|due| due.changes_names()).any(|due| {
            let prepares =
                |pending: &Arc<Statement>| due.request == Request::Parse && Arc::ptr_eq(pending, statement);
            due.client_name.as_deref() == Some(client_name)
                || due.statement.as_ref().is_some_and(prepares)
                || due.evicted.as_ref().is_some_and(|evicted| evicted.is(statement))
        })
    }

    /// Does it depend on a reply still due which unnamed statement the server has? Where a Parse was thrown away,
    /// it is what somebody else has left there. Only what is sent before the next Sync is thrown away too.
    #[must_use]
    pub fn is_unnamed_uncertain(&self) -> bool {
        if self.counts.names == 0 || self.counts.readies == 0 {
            return false;
        }
        let mut is_behind_ready = false;
        for due in self.due.iter().rev() {
            if due.parses_unnamed() {
                return is_behind_ready;
            }
            is_behind_ready |= due.request.ends_with_ready();
        }
        false
    }

    /// Is a Parse of the client's unnamed statement among what is due?
    #[must_use]
    pub fn prepares_unnamed(&self) -> bool {
        self.due
            .iter()
            .any(|due| due.request == Request::Parse && due.client_name.as_deref() == Some(&[][..]))
    }

    /// Notes a Sync. One sent while the server reads COPY data is ignored by the server.
    pub fn expect_sync(&mut self, origin: Origin) {
        if !self.copy_in {
            self.push(Due::of(Request::Sync, origin));
        }
    }

    /// The client has ended its COPY data.
    pub fn copy_ended(&mut self) {
        self.copy_in = false;
        self.push(Due::to_client(Request::CopyEnd));
        self.pass_copy_ends();
    }

    /// A reply that we owe ourselves and whose turn has come.
    pub fn next_local(&mut self) -> Option<Due> {
        if self.skipping || self.due.front()?.origin != Origin::Local {
            return None;
        }
        let due = self.pop();
        self.pass_copy_ends();
        due
    }

    /// Who the replies that come now belong to. `None` when nothing is due.
    #[must_use]
    pub fn current_origin(&self) -> Option<Origin> {
        self.due.front().map(|due| due.origin)
    }

    fn push(&mut self, due: Due) {
        let subscribes = due.effects.any_of(Effects::SUBSCRIBES);
        self.subscribes = subscribes || (self.subscribes && !self.due.is_empty());
        self.counts.add(&due);
        self.due.push_back(due);
    }

    fn pop(&mut self) -> Option<Due> {
        self.answered = false;
        let due = self.due.pop_front()?;
        self.counts.subtract(&due);
        Some(due)
    }

    /// Outside copy-in mode the server ignores the end of COPY data: it never stands in front.
    fn pass_copy_ends(&mut self) {
        let mut ends = 0;
        while self.due.get(ends).is_some_and(|due| due.request == Request::CopyEnd) {
            ends += 1;
        }
        self.due.drain(..ends);
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
