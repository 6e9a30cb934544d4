//! The statements of one pool, each text once.

use super::memory::{PoolMemory, PreparedMemory};
use super::numbers::ByNumber;
use super::sketch::Sketch;
use super::statement::{Statement, Text};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// One of so many unused statements is forgotten at once, the longest unused, so that a full pool does
/// not look through all of them for each new one.
const FORGET_ONE_IN: usize = 4;

/// The statements of one pool, each text once. Keeps those that nobody uses as long as there is room.
#[derive(Debug)]
pub struct StatementCache {
    known: Mutex<ByNumber<Arc<Statement>>>,
    hasher: RandomState,
    seen: Sketch,
    /// Rises with every statement that becomes known: their age is counted in it.
    clock: AtomicU64,
    /// Rises when the schema may have changed: what was prepared before may be out of date.
    schema: AtomicU64,
    memory: Arc<PoolMemory>,
}

impl Default for StatementCache {
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

impl StatementCache {
    /// Nothing known yet.
    #[must_use]
    pub fn new(process: Arc<PreparedMemory>) -> Self {
        Self {
            known: Mutex::default(),
            hasher: RandomState::new(),
            seen: Sketch::default(),
            clock: AtomicU64::new(1),
            schema: AtomicU64::new(0),
            memory: PoolMemory::new(process),
        }
    }

    /// The bounds and counters of all pools.
    #[must_use]
    pub fn process(&self) -> &Arc<PreparedMemory> {
        self.memory.process()
    }

    /// The hash by which texts are found here and on the pool's connections.
    #[must_use]
    pub fn hash(&self, text: Text<'_>) -> u64 {
        self.hasher.hash_one(text)
    }

    /// The statement with this text, shared with every client that has it. `None`: there is no room for it.
    #[must_use]
    pub fn intern(&self, text: Text<'_>, hash: u64) -> Option<Arc<Statement>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Another text with the same hash keeps its place, and this one is not shared.
        let shared_hash = match known.get(&hash) {
            Some(found) if found.text() == text => {
                self.touch(found);
                return Some(Arc::clone(found));
            }
            Some(_) => None,
            None => Some(hash),
        };
        let statement = self.make(text, shared_hash, &mut known)?;
        if shared_hash.is_some() {
            known.insert(hash, Arc::clone(&statement));
        }
        Some(statement)
    }

    /// A statement with this text that is shared with nobody: what its words mean is the client's own matter.
    #[must_use]
    pub fn unshared(&self, text: Text<'_>) -> Option<Arc<Statement>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        self.make(text, None, &mut known)
    }

    /// The statement with this text, if some client has prepared it by a name, or if it has come unnamed
    /// before and is one to be kept: a text that comes for the first time may well never come again.
    #[must_use]
    pub fn returning(
        &self,
        text: Text<'_>,
        hash: u64,
        is_to_be_kept: impl FnOnce() -> bool,
    ) -> Option<Arc<Statement>> {
        {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = known.get(&hash).filter(|found| found.text() == text) {
                self.touch(found);
                return Some(Arc::clone(found));
            }
        }
        if self.seen.saw(hash) && is_to_be_kept() { self.intern(text, hash) } else { None }
    }

    /// It is in use: let it not be the one to be forgotten.
    pub fn touch(&self, statement: &Statement) {
        statement.used(self.clock.load(Ordering::Relaxed));
    }

    /// How often the schema may have changed, as far as we know.
    #[must_use]
    pub fn schema(&self) -> u64 {
        self.schema.load(Ordering::Acquire)
    }

    /// The schema may have changed.
    pub fn schema_changed(&self) {
        self.schema.fetch_add(1, Ordering::AcqRel);
    }

    fn make(
        &self,
        text: Text<'_>,
        shared_hash: Option<u64>,
        known: &mut ByNumber<Arc<Statement>>,
    ) -> Option<Arc<Statement>> {
        let charge = match self.memory.charge(text.cost()) {
            Some(charge) => charge,
            None => {
                self.forget_unused(known, text.cost());
                self.memory.charge(text.cost())?
            }
        };
        let statement = Arc::new(Statement::new(text, shared_hash, charge));
        statement.used(self.clock.fetch_add(1, Ordering::Relaxed) + 1);
        Some(statement)
    }

    /// Forgets what no client uses, the longest unused first: enough for `bytes` more, and then some.
    fn forget_unused(&self, known: &mut ByNumber<Arc<Statement>>, bytes: usize) {
        let mut unused: Vec<(u64, u64, usize)> = known
            .iter()
            .filter(|(_, statement)| Arc::strong_count(statement) == 1)
            .map(|(hash, statement)| (statement.last_used(), *hash, statement.cost()))
            .collect();
        unused.sort_unstable();
        let at_least = unused.len().div_ceil(FORGET_ONE_IN);
        let mut freed = 0;
        for (index, (_, hash, cost)) in unused.into_iter().enumerate() {
            if index >= at_least && freed >= bytes {
                break;
            }
            known.remove(&hash);
            freed += cost;
            self.process().forgotten.inc();
        }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.memory.bytes()
    }
}
