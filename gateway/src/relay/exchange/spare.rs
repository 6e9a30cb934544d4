//! Exchanges that are lent to busy clients and taken back from idle ones.

use super::Exchange;
use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Exchanges that a thread keeps for its next busy clients, some 17 MiB of them: as many as are busy at once on a loaded
/// server, or each of the others would be made anew with every transaction.
const KEPT_PER_THREAD_MAX: usize = 512;

thread_local! {
    #[allow(clippy::vec_box, reason = "an exchange is lent in its box, so that neither is moved or made anew")]
    static SPARE: RefCell<Vec<Box<Exchange>>> = const { RefCell::new(Vec::new()) };
}

/// An exchange borrowed from the thread's spare ones, so that an idle client holds no buffer and a busy
/// one allocates none. Goes back, emptied, when dropped.
pub struct Borrowed(Option<Box<Exchange>>);

impl Borrowed {
    /// An empty exchange.
    #[must_use]
    pub fn take() -> Self {
        Self(Some(SPARE.with_borrow_mut(Vec::pop).unwrap_or_default()))
    }
}

impl Deref for Borrowed {
    type Target = Exchange;
    fn deref(&self) -> &Exchange {
        self.0.as_ref().expect("taken only by drop")
    }
}

impl DerefMut for Borrowed {
    fn deref_mut(&mut self) -> &mut Exchange {
        self.0.as_mut().expect("taken only by drop")
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let Some(mut exchange) = self.0.take() else { return };
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < KEPT_PER_THREAD_MAX {
                exchange.reset();
                spare.push(exchange);
            }
        });
    }
}
