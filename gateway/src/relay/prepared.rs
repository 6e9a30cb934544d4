//! Prepared statements that outlive the connection they were prepared on.
//!
//! A client's named statement gets a name of ours on the server, the same for every client of the pool
//! that prepared the same text. A connection that lacks the statement gets it prepared again, ahead of
//! the message that needs it. Texts are compared whole, never by hash alone, so no two statements can be
//! taken for each other.

use super::effects::{self, Effects};
use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Our statement names begin with this; clients' own names never reach the server in its place.
pub const NAME_PREFIX: &str = "__tenantry_";

/// The name of no statement at all: what a client that has no unnamed statement is answered with.
pub const NO_STATEMENT: &[u8] = b"__tenantry_none";

/// Bytes of statement text that a pool keeps to recognise equal ones.
const POOL_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Statements that one server connection keeps prepared; each costs the backend some kilobytes.
const PER_SERVER_MAX: usize = 500;

/// Bytes of text of the statements that one server connection keeps prepared. A single larger one stays.
const PER_SERVER_BYTES_MAX: usize = 8 * 1024 * 1024;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// A statement's text and parameter types.
#[derive(Debug)]
pub struct Statement {
    id: u64,
    server_name: Box<[u8]>,
    /// The Parse message's body after its name.
    body: Box<[u8]>,
    effects: Effects,
}

/// The text in a Parse message's body after its name.
fn text_of(body: &[u8]) -> &[u8] {
    body.iter().position(|byte| *byte == 0).map_or(body, |end| &body[..end])
}

impl Statement {
    fn new(body: &[u8]) -> Self {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Self {
            id,
            server_name: format!("{NAME_PREFIX}{id}").into_bytes().into_boxed_slice(),
            body: body.into(),
            effects: effects::of_sql(text_of(body)),
        }
    }

    /// Its name on every server connection.
    #[must_use]
    pub fn server_name(&self) -> &[u8] {
        &self.server_name
    }

    /// The Parse message's body after its name.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// What it leaves behind in the session.
    #[must_use]
    pub fn effects(&self) -> Effects {
        self.effects
    }

    /// Memory it costs, for the bounds.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.body.len() + 128
    }
}

/// A statement in a set that is searched by text.
#[derive(Debug)]
struct ByBody(Arc<Statement>);

impl Borrow<[u8]> for ByBody {
    fn borrow(&self) -> &[u8] {
        &self.0.body
    }
}

impl Hash for ByBody {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.body.hash(state);
    }
}

impl PartialEq for ByBody {
    fn eq(&self, other: &Self) -> bool {
        self.0.body == other.0.body
    }
}

impl Eq for ByBody {}

/// The statements of one pool, each text once.
#[derive(Debug, Default)]
pub struct StatementCache {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    statements: HashSet<ByBody>,
    bytes: usize,
}

impl StatementCache {
    /// The statement with this text, shared with every client that has it.
    #[must_use]
    pub fn intern(&self, body: &[u8]) -> Arc<Statement> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.statements.get(body) {
            return Arc::clone(&found.0);
        }
        let statement = Arc::new(Statement::new(body));
        if known.bytes + statement.cost() > POOL_BYTES_MAX {
            known.forget_unused();
        }
        // Still full: every text is in use by some client. This one works all the same, unshared.
        if known.bytes + statement.cost() <= POOL_BYTES_MAX {
            known.bytes += statement.cost();
            known.statements.insert(ByBody(Arc::clone(&statement)));
        }
        statement
    }
}

impl Known {
    fn forget_unused(&mut self) {
        self.statements.retain(|statement| Arc::strong_count(&statement.0) > 1);
        self.bytes = self.statements.iter().map(|statement| statement.0.cost()).sum();
    }
}

/// Which statements one server connection has.
#[derive(Debug, Default)]
pub struct ServerStatements {
    prepared: HashMap<u64, Prepared>,
    bytes: usize,
    clock: u64,
}

#[derive(Debug)]
struct Prepared {
    last_used: u64,
    statement: Arc<Statement>,
}

impl ServerStatements {
    /// Is it prepared? Counts as a use.
    pub fn has(&mut self, statement: &Statement) -> bool {
        self.clock += 1;
        let clock = self.clock;
        self.prepared.get_mut(&statement.id).map(|prepared| prepared.last_used = clock).is_some()
    }

    /// Takes out one to close, if there are too many for another one. To be asked until there is none.
    pub fn crowded_out_by(&mut self, statement: &Statement) -> Option<Arc<Statement>> {
        let too_many = self.prepared.len() >= PER_SERVER_MAX;
        let too_large = self.bytes + statement.cost() > PER_SERVER_BYTES_MAX;
        let crowded_out = (too_many || too_large).then(|| self.least_recently_used()).flatten()?;
        self.remove(&crowded_out);
        Some(crowded_out)
    }

    /// It is about to be prepared, or turned out not to have been closed.
    pub fn add(&mut self, statement: &Arc<Statement>) {
        self.clock += 1;
        let prepared = Prepared { last_used: self.clock, statement: Arc::clone(statement) };
        if self.prepared.insert(statement.id, prepared).is_none() {
            self.bytes += statement.cost();
        }
    }

    /// It could not be prepared after all.
    pub fn remove(&mut self, statement: &Statement) {
        if self.prepared.remove(&statement.id).is_some() {
            self.bytes -= statement.cost();
        }
    }

    /// The session was reset.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn least_recently_used(&self) -> Option<Arc<Statement>> {
        self.prepared
            .values()
            .min_by_key(|prepared| prepared.last_used)
            .map(|prepared| Arc::clone(&prepared.statement))
    }
}

/// What a client may say to a name.
#[derive(Debug)]
pub struct TooManyStatements;

/// The statements of one client.
#[derive(Debug, Default)]
pub struct ClientStatements {
    named: HashMap<Box<[u8]>, Arc<Statement>>,
    bytes: usize,
    unnamed: Unnamed,
}

/// The client's unnamed statement, kept so that it can be prepared again on another connection.
#[derive(Debug, Default)]
pub struct Unnamed {
    present: bool,
    body: Vec<u8>,
    effects: Effects,
}

impl Unnamed {
    /// Is there one?
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.present
    }

    /// The Parse message's body after its (empty) name.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// What it leaves behind in the session.
    #[must_use]
    pub fn effects(&self) -> Effects {
        self.effects
    }
}

impl ClientStatements {
    /// The statement of that name.
    #[must_use]
    pub fn named(&self, name: &[u8]) -> Option<&Arc<Statement>> {
        self.named.get(name)
    }

    /// The unnamed statement.
    #[must_use]
    pub fn unnamed(&self) -> &Unnamed {
        &self.unnamed
    }

    /// Gives a statement a name.
    ///
    /// # Errors
    /// The client's statements would take more than `bytes_max` bytes.
    pub fn insert(
        &mut self,
        name: &[u8],
        statement: Arc<Statement>,
        bytes_max: usize,
    ) -> Result<(), TooManyStatements> {
        let cost = statement.cost() + name.len();
        if self.bytes + cost > bytes_max {
            return Err(TooManyStatements);
        }
        self.remove(name);
        self.bytes += cost;
        self.named.insert(name.into(), statement);
        Ok(())
    }

    /// Forgets a name. The empty one is the unnamed statement.
    pub fn remove(&mut self, name: &[u8]) {
        if name.is_empty() {
            self.unnamed.present = false;
        } else if let Some(statement) = self.named.remove(name) {
            self.bytes -= statement.cost() + name.len();
        }
    }

    /// Keeps the unnamed statement. The buffer is used again for the next one.
    pub fn set_unnamed(&mut self, body: &[u8]) {
        let unnamed = &mut self.unnamed;
        unnamed.effects = effects::of_sql(text_of(body));
        unnamed.body.clear();
        unnamed.body.extend_from_slice(body);
        unnamed.present = true;
    }

    /// The client has discarded all of them.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests;
