//! What the code in a database could do to a session.
//!
//! The database is asked when a connection to it is used first, when a client has defined something, and once a
//! second as long as there is work whether anything was defined elsewhere, which is one look at PostgreSQL's own
//! counters. The questions travel ahead of a client's message and are answered with it.
//!
//! The answer is about text: a function is suspected when a word stands in it that could change a session, or
//! when it runs text that is made as it goes.
//!
//! To plan the question that finds that out takes a fresh server process 10 ms, for which a client waits. So it is asked
//! only where there is something to suspect: `look.sql` sees that, in 2 ms, and has the server run `ask.sql` then.

use crate::relay::effects::calls::TRUSTED_NAMES;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What was defined elsewhere is noticed after so long, if PostgreSQL's counters show it by then: they are up to a
/// second behind. A question that was not answered is asked anew after as long.
const ASKED_EVERY: Duration = Duration::from_secs(1);

/// There is something to ask that cannot wait.
const AT_ONCE: u64 = 0;

const COUNT: &str = include_str!("count.sql");

static LOOK: LazyLock<String> = LazyLock::new(|| whole(include_str!("look.sql")));

/// What a look has the server run where there is code. Its one parameter stands for names of functions that we trust
/// because PostgreSQL has them, and that must not be the database's own.
static ASK: LazyLock<String> =
    LazyLock::new(|| whole(include_str!("ask.sql")).replace("$1", &format!("'{}'", *TRUSTED_NAMES)));

/// A question, with what it has in common with others put in.
fn whole(question: &str) -> String {
    // What runs unseen when something is written: defaults, constraints, domains, conditions of triggers.
    let write_code = include_str!("write_code.sql");
    question.replace("{count.sql}", COUNT).replace("{write_code.sql}", write_code)
}

/// What is to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Has anything been defined?
    Count,
    /// What is there?
    Facts,
}

impl Question {
    /// As SQL. The answer is one row of two columns: a count, and the facts as letters, or NULL.
    #[must_use]
    pub fn text(self) -> &'static [u8] {
        match self {
            Self::Count => COUNT.as_bytes(),
            Self::Facts => LOOK.as_bytes(),
        }
    }
}

impl Question {
    /// What the text's one parameter stands for, where it has one: what the server is to run if there is any code.
    #[must_use]
    pub fn parameters(self) -> Option<&'static [u8]> {
        (self == Self::Facts).then(|| ASK.as_bytes())
    }
}

/// A question under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// What is asked.
    pub question: Question,
    /// How often clients had defined something by then.
    after: u64,
}

/// What is known of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// There are sequences.
    pub has_sequences: bool,
    /// Some code may draw numbers from them.
    pub code_draws: bool,
    /// Some code may leave something behind in its session.
    pub changes_sessions: bool,
    /// Some code is in a language that has a memory of its own.
    pub keeps_memory: bool,
    /// Code may run though a statement writes nothing and calls nothing: in views, policies, operators.
    pub runs_in_reads: bool,
}

impl Facts {
    /// There is no code.
    pub const NONE: Self = Self {
        has_sequences: false,
        code_draws: false,
        changes_sessions: false,
        keeps_memory: false,
        runs_in_reads: false,
    };

    /// Anything may be there, but for languages: to suspect those would cost a login.
    pub const UNKNOWN: Self = Self {
        has_sequences: true,
        code_draws: true,
        changes_sessions: true,
        keeps_memory: false,
        runs_in_reads: true,
    };

    /// Anything may be there, and what is known to be there is.
    #[must_use]
    pub const fn or_unknown(self) -> Self {
        Self { keeps_memory: self.keeps_memory, ..Self::UNKNOWN }
    }

    fn from_letters(letters: &[u8]) -> Self {
        let has = |letter| letters.contains(&letter);
        Self {
            has_sequences: has(b's'),
            code_draws: has(b'd'),
            changes_sessions: has(b'h'),
            keeps_memory: has(b'c'),
            runs_in_reads: has(b'r'),
        }
    }

    fn to_bits(self) -> u8 {
        u8::from(self.has_sequences)
            | u8::from(self.code_draws) << 1
            | u8::from(self.changes_sessions) << 2
            | u8::from(self.keeps_memory) << 3
            | u8::from(self.runs_in_reads) << 4
    }

    const fn from_bits(bits: u8) -> Self {
        Self {
            has_sequences: bits & 1 != 0,
            code_draws: bits & 1 << 1 != 0,
            changes_sessions: bits & 1 << 2 != 0,
            keeps_memory: bits & 1 << 3 != 0,
            runs_in_reads: bits & 1 << 4 != 0,
        }
    }
}

/// Facts with this bit are not known any more: they were as the other bits say.
const UNKNOWN: u8 = 1 << 7;

/// One pool's knowledge of its database.
#[derive(Debug)]
pub struct Database {
    facts: AtomicU8,
    created: Instant,
    /// Milliseconds since `created`, or [`AT_ONCE`].
    asked: AtomicU64,
    /// The count when the facts were told.
    told: Mutex<Box<[u8]>>,
    /// How often clients have defined something.
    defined: AtomicU64,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            facts: AtomicU8::new(UNKNOWN),
            created: Instant::now(),
            asked: AtomicU64::new(AT_ONCE),
            told: Mutex::default(),
            defined: AtomicU64::new(0),
        }
    }
}

impl Database {
    /// What is known now.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let bits = self.facts.load(Ordering::Acquire);
        let facts = Facts::from_bits(bits);
        if bits & UNKNOWN == 0 { facts } else { facts.or_unknown() }
    }

    /// A client has defined something, and its transaction is over.
    pub fn defined(&self) {
        self.defined.fetch_add(1, Ordering::AcqRel);
        self.forget();
    }

    /// What is to be asked next, if it is time. Of several clients one asks.
    pub fn question(&self) -> Option<Asked> {
        let after = self.defined.load(Ordering::Acquire);
        let is_unknown = self.facts.load(Ordering::Acquire) & UNKNOWN != 0;
        let question = if is_unknown { Question::Facts } else { Question::Count };
        let now = u64::try_from(self.created.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let asked = self.asked.load(Ordering::Acquire);
        let every = u64::try_from(ASKED_EVERY.as_millis()).unwrap_or(u64::MAX);
        let is_due = asked == AT_ONCE || now.saturating_sub(asked) >= every;
        let is_mine =
            is_due && self.asked.compare_exchange(asked, now, Ordering::AcqRel, Ordering::Acquire).is_ok();
        is_mine.then_some(Asked { question, after })
    }

    /// The database has answered.
    pub fn answered(&self, asked: Asked, count: &[u8], letters: Option<&[u8]>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(letters) = letters else {
            if **told != *count {
                self.forget();
            }
            return;
        };
        *told = count.into();
        let is_current = || self.defined.load(Ordering::Acquire) == asked.after;
        if is_current() {
            self.facts.store(Facts::from_letters(letters).to_bits(), Ordering::Release);
        }
        // Something was defined meanwhile, which the answer may not know of.
        if !is_current() {
            self.forget();
        }
    }

    fn forget(&self) {
        self.facts.fetch_or(UNKNOWN, Ordering::AcqRel);
        self.asked.store(AT_ONCE, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_suspected_until_the_database_has_answered() {
        let database = Database::default();
        assert_eq!(database.facts(), Facts::UNKNOWN);
        let asked = database.question().expect("there is much to ask");
        assert_eq!(asked.question, Question::Facts);
        database.answered(asked, b"7", Some(b"sd"));
        let expected = Facts { has_sequences: true, code_draws: true, ..Facts::NONE };
        assert_eq!(database.facts(), expected);
        assert_eq!(Facts::from_bits(expected.to_bits()), expected);
    }

    #[test]
    fn what_is_defined_is_asked_for_anew() {
        let database = Database::default();
        let asked = database.question().expect("there is much to ask");
        database.answered(asked, b"7", Some(b""));
        database.answered(asked, b"7", None);
        assert_eq!(database.facts(), Facts::NONE);
        database.answered(asked, b"8", None);
        assert_eq!(database.facts(), Facts::UNKNOWN);
        let asked = database.question().expect("it is not known");
        database.defined();
        database.answered(asked, b"8", Some(b""));
        assert_eq!(database.facts(), Facts::UNKNOWN, "it was asked before");
    }

    #[test]
    fn a_language_with_a_memory_is_not_forgotten_when_something_is_defined() {
        let database = Database::default();
        let asked = database.question().expect("there is much to ask");
        database.answered(asked, b"7", Some(b"c"));
        database.defined();
        assert_eq!(database.facts(), Facts { keeps_memory: true, ..Facts::UNKNOWN });
        let asked = database.question().expect("it is not known");
        assert_eq!(asked.question, Question::Facts);
        database.answered(asked, b"8", Some(b""));
        assert_eq!(database.facts(), Facts::NONE);
    }
}
