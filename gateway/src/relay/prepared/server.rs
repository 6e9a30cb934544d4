//! Which statements one server connection has.

use super::numbers::ByNumber;
use super::statement::{Statement, Text};
use super::{NAME_PREFIX, reading};
use config::PreparedConfig;
use std::sync::{Arc, Weak};

/// Which statements one server connection has. Their texts are not kept for its sake.
#[derive(Debug, Default)]
pub struct ServerStatements {
    prepared: ByNumber<Prepared>,
    by_text: ByNumber<u64>,
    bytes: usize,
    clock: u64,
    /// Counts the requests that were made on the connection.
    request: u64,
    /// Prepared while names meant something of the current transaction's own.
    of_transaction: Vec<u64>,
}

#[derive(Debug)]
struct Prepared {
    statement: Weak<Statement>,
    text_hash: Option<u64>,
    cost: usize,
    last_used: u64,
    /// The pool's count of schema changes when it was prepared.
    schema: u64,
    /// The request in which it was prepared.
    request: u64,
    /// What the server has is of no use, or not even there: it has to be prepared anew.
    is_outdated: bool,
}

/// How a statement stands on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is not there.
    Missing,
    /// It was prepared in the request under way.
    New,
    /// It was prepared before.
    Old,
}

/// A statement taken out of the books, to be closed on the server.
#[derive(Debug)]
pub struct Evicted {
    id: u64,
    prepared: Prepared,
}

impl Evicted {
    /// Its name on the server.
    #[must_use]
    pub fn server_name(&self) -> Vec<u8> {
        format!("{NAME_PREFIX}{}", self.id).into_bytes()
    }

    /// Is it this statement?
    #[must_use]
    pub fn is(&self, statement: &Statement) -> bool {
        self.id == statement.id()
    }
}

impl ServerStatements {
    /// Is it prepared? Counts as a use.
    pub fn has(&mut self, statement: &Statement) -> bool {
        self.clock += 1;
        match self.prepared.get_mut(&statement.id()) {
            Some(prepared) if !prepared.is_outdated => {
                prepared.last_used = self.clock;
                true
            }
            _ => false,
        }
    }

    /// Is it prepared, and was it after the last change of the schema that we know of? Counts as a use.
    pub fn has_current(&mut self, statement: &Statement, schema: u64) -> bool {
        self.has(statement)
            && self.prepared.get(&statement.id()).is_some_and(|prepared| prepared.schema == schema)
    }

    /// The statement with this text, if it is prepared and still known.
    #[must_use]
    pub fn find(&self, text: Text<'_>, hash: u64) -> Option<Arc<Statement>> {
        let prepared = self.prepared.get(self.by_text.get(&hash)?)?;
        prepared.statement.upgrade().filter(|statement| statement.text() == text)
    }

    /// Takes out one to close, before this one can be prepared: itself if it is out of date, or the one unused
    /// longest if there are too many. To be asked until there is none.
    pub fn in_the_way_of(&mut self, statement: &Statement, bounds: &PreparedConfig) -> Option<Evicted> {
        if let Some(evicted) = self.take(statement.id()) {
            return Some(evicted);
        }
        let too_many = self.prepared.len() >= bounds.statements_per_server_max;
        let too_large = self.bytes + statement.cost() > bounds.bytes_per_server_max;
        if !too_many && !too_large {
            return None;
        }
        let (oldest, _) = self.prepared.iter().min_by_key(|(_, prepared)| prepared.last_used)?;
        self.take(*oldest)
    }

    /// It is about to be prepared.
    pub fn add(&mut self, statement: &Arc<Statement>, schema: u64) {
        self.clock += 1;
        let prepared = Prepared {
            statement: Arc::downgrade(statement),
            text_hash: statement.text_hash(),
            cost: statement.cost(),
            last_used: self.clock,
            schema,
            request: self.request,
            is_outdated: false,
        };
        self.put(statement.id(), prepared);
    }

    /// It was not closed after all.
    pub fn restore(&mut self, evicted: Evicted) {
        self.put(evicted.id, evicted.prepared);
    }

    /// It could not be prepared after all.
    pub fn remove(&mut self, statement: &Statement) {
        drop(self.take(statement.id()));
    }

    /// A request begins: what was prepared before is old.
    pub fn request_begins(&mut self) {
        self.request += 1;
    }

    /// What the server has by its name is of no use any more, if it was prepared before this request.
    pub fn outdate(&mut self, statement: &Statement) -> Standing {
        match self.prepared.get_mut(&statement.id()) {
            Some(prepared) if prepared.request == self.request => Standing::New,
            Some(prepared) => {
                prepared.is_outdated = true;
                Standing::Old
            }
            None => Standing::Missing,
        }
    }

    /// It was prepared in a transaction that has given names a meaning of its own, or may have.
    pub fn note_of_transaction(&mut self, statement: &Statement) {
        if self.of_transaction.len() < reading::OF_TRANSACTION_MAX {
            self.of_transaction.push(statement.id());
        }
    }

    /// That transaction is over: what was prepared in it is not to be relied upon, if it has.
    pub fn transaction_ended(&mut self, names_changed: bool) {
        if !names_changed {
            return self.of_transaction.clear();
        }
        let all = self.of_transaction.len() >= reading::OF_TRANSACTION_MAX;
        for id in self.of_transaction.drain(..) {
            if let Some(prepared) = self.prepared.get_mut(&id) {
                prepared.is_outdated = true;
            }
        }
        if all {
            self.prepared.values_mut().for_each(|prepared| prepared.is_outdated = true);
        }
    }

    /// The session has none any more.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn put(&mut self, id: u64, prepared: Prepared) {
        drop(self.take(id));
        self.bytes += prepared.cost;
        if let Some(hash) = prepared.text_hash {
            self.by_text.insert(hash, id);
        }
        self.prepared.insert(id, prepared);
    }

    fn take(&mut self, id: u64) -> Option<Evicted> {
        let prepared = self.prepared.remove(&id)?;
        self.bytes -= prepared.cost;
        if let Some(hash) = prepared.text_hash
            && self.by_text.get(&hash) == Some(&id)
        {
            self.by_text.remove(&hash);
        }
        Some(Evicted { id, prepared })
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
