//! One statement, as long as anybody knows it.

use super::NAME_PREFIX;
use super::memory::Charge;
use super::reading::{self, Constants};
use crate::relay::effects::{self, Effects};
use std::sync::atomic::{AtomicU64, Ordering};

/// What a statement costs beside its text.
const OVERHEAD_BYTES: usize = 192;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// What makes two statements the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Text<'a> {
    /// The Parse message's body after its name: the query, and the types of its parameters.
    pub body: &'a [u8],
    /// What else decides what the client means by it: see [`super::meaning`].
    pub context: Option<&'a str>,
}

impl Text<'_> {
    /// The query.
    #[must_use]
    pub fn query(&self) -> &[u8] {
        query_of(self.body)
    }

    /// The memory that a statement of this text takes, for the bounds.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.body.len() + self.context.map_or(0, str::len) + OVERHEAD_BYTES
    }
}

/// The query in a Parse message's body after its name.
pub(super) fn query_of(body: &[u8]) -> &[u8] {
    body.iter().position(|byte| *byte == 0).map_or(body, |end| &body[..end])
}

/// A statement's text and parameter types.
#[derive(Debug)]
pub struct Statement {
    id: u64,
    server_name: Box<[u8]>,
    body: Box<[u8]>,
    context: Option<Box<str>>,
    /// Of its text, by which others find it. `None`: it is one client's own.
    text_hash: Option<u64>,
    effects: Effects,
    is_plain: bool,
    means_the_same: bool,
    /// The pool's clock when somebody last asked for it.
    last_used: AtomicU64,
    /// Given back when nobody knows the statement any more.
    _memory: Charge,
}

impl Statement {
    pub(super) fn new(text: Text<'_>, text_hash: Option<u64>, memory: Charge) -> Self {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let effects = effects::of_sql(text.query());
        Self {
            id,
            server_name: format!("{NAME_PREFIX}{id}").into_bytes().into_boxed_slice(),
            body: text.body.into(),
            context: text.context.map(Into::into),
            text_hash,
            effects,
            is_plain: !effects.any_of(Effects::STAYS) && reading::is_plain(text.query()),
            means_the_same: reading::constants(text.query()) == Constants::Fixed,
            last_used: AtomicU64::new(0),
            _memory: memory,
        }
    }

    /// Tells it from every other statement of this process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its name on every server connection.
    #[must_use]
    pub fn server_name(&self) -> &[u8] {
        &self.server_name
    }

    /// What makes it this statement.
    #[must_use]
    pub fn text(&self) -> Text<'_> {
        Text { body: &self.body, context: self.context.as_deref() }
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

    /// It only reads and writes rows, or begins and ends transactions: see [`reading::is_plain`].
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Prepared long ago, it means what it would mean prepared now: see [`reading::constants`].
    #[must_use]
    pub fn means_the_same(&self) -> bool {
        self.means_the_same
    }

    /// Memory it costs, for the bounds.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.text().cost()
    }

    /// Others find it by its text.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.text_hash.is_some()
    }

    pub(super) fn text_hash(&self) -> Option<u64> {
        self.text_hash
    }

    pub(super) fn last_used(&self) -> u64 {
        self.last_used.load(Ordering::Relaxed)
    }

    pub(super) fn used(&self, now: u64) {
        // Most of the time nothing has changed, and the memory is not fought for.
        if self.last_used() != now {
            self.last_used.store(now, Ordering::Relaxed);
        }
    }
}
