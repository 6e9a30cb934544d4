//! One look-up at a time for a name that is not cached.

use dashmap::DashMap;
use std::hash::Hash;
use std::sync::Arc;
use tokio::sync::Mutex;

/// A look-up of a name that is not cached. The last one of a name takes its gate away, also when its client has
/// left half way.
pub(super) struct Loading<'a, K: Hash + Eq> {
    all: &'a DashMap<K, Arc<Mutex<()>>>,
    name: &'a K,
    pub(super) gate: Arc<Mutex<()>>,
}

impl<'a, K: Hash + Eq + Clone> Loading<'a, K> {
    pub(super) fn begin(all: &'a DashMap<K, Arc<Mutex<()>>>, name: &'a K) -> Self {
        let gate = Arc::clone(&all.entry(name.clone()).or_default());
        Self { all, name, gate }
    }
}

impl<K: Hash + Eq> Drop for Loading<'_, K> {
    fn drop(&mut self) {
        // The map's own reference and ours.
        self.all.remove_if(self.name, |_, gate| Arc::strong_count(gate) <= 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenancy::Slug;

    #[test]
    fn the_last_one_takes_the_gate_away() {
        let all = DashMap::new();
        let slug: Slug = "acme".parse().expect("a slug");
        let (first, second) = (Loading::begin(&all, &slug), Loading::begin(&all, &slug));
        drop(first);
        assert!(Arc::ptr_eq(&second.gate, &Loading::begin(&all, &slug).gate));
        drop(second);
        assert!(all.is_empty());
    }
}
