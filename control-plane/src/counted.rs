//! How many of something there are by who has them, with a bound for each: connections by network, streams by tenant.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// The counts. Clones share them; whoever has none is not kept, so there are no more entries than things counted.
#[derive(Debug)]
pub(crate) struct Counted<K>(Arc<Mutex<HashMap<K, usize>>>);

impl<K> Default for Counted<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K> Clone for Counted<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// One that is counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Held<K: Eq + Hash> {
    counted: Counted<K>,
    by: Vec<K>,
}

impl<K: Clone + Eq + Hash> Counted<K> {
    /// Counts one more for each of these, unless one of them has as many as it may.
    pub(crate) fn take(&self, by: Vec<K>, max: impl Fn(&K) -> usize) -> Option<Held<K>> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if by.iter().any(|one| counts.get(one).is_some_and(|count| *count >= max(one))) {
            return None;
        }
        for one in &by {
            *counts.entry(one.clone()).or_default() += 1;
        }
        drop(counts);
        Some(Held { counted: self.clone(), by })
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }
}

impl<K: Eq + Hash> Drop for Held<K> {
    fn drop(&mut self) {
        let mut counts = self.counted.0.lock().unwrap_or_else(PoisonError::into_inner);
        for one in &self.by {
            let Some(count) = counts.get_mut(one) else { continue };
            *count -= 1;
            if *count == 0 {
                counts.remove(one);
            }
        }
    }
}
