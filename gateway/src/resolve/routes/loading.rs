//! One look-up at a time for a name that is not cached.

use dashmap::DashMap;
use std::sync::Arc;
use tenancy::Slug;
use tokio::sync::Mutex;

/// A look-up of a name that is not cached. The last one of a name takes its gate away, also when its client has
/// left half way.
pub(super) struct Loading<'a> {
    all: &'a DashMap<Slug, Arc<Mutex<()>>>,
    slug: &'a Slug,
    pub(super) gate: Arc<Mutex<()>>,
}

impl<'a> Loading<'a> {
    pub(super) fn begin(all: &'a DashMap<Slug, Arc<Mutex<()>>>, slug: &'a Slug) -> Self {
        let gate = Arc::clone(&all.entry(slug.clone()).or_default());
        Self { all, slug, gate }
    }
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        // The map's own reference and ours.
        self.all.remove_if(self.slug, |_, gate| Arc::strong_count(gate) <= 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
