//! Work that is done cluster by cluster, so that one which does not answer delays no other. Must never do two things on
//! one cluster at a time.

use std::collections::HashMap;
use std::sync::Arc;
use tenancy::ClusterId;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};

/// Clusters that are worked on at the same time.
const AT_ONCE: usize = 32;

/// The clusters that are being worked on. What is still under way ends with this.
pub(super) struct ByCluster {
    at_once: Arc<Semaphore>,
    tasks: JoinSet<()>,
    under_way: HashMap<ClusterId, AbortHandle>,
}

impl Default for ByCluster {
    fn default() -> Self {
        let at_once = Arc::new(Semaphore::new(AT_ONCE));
        Self { at_once, tasks: JoinSet::new(), under_way: HashMap::new() }
    }
}

impl ByCluster {
    /// Begins the work on a cluster, unless what was begun before is under way yet.
    pub(super) fn begin(&mut self, cluster: ClusterId, work: impl Future<Output = ()> + Send + 'static) {
        while self.tasks.try_join_next().is_some() {}
        if self.is_under_way(cluster) {
            return;
        }
        let at_once = Arc::clone(&self.at_once);
        let task = self.tasks.spawn(async move {
            // Nobody closes it.
            let Ok(_turn) = at_once.acquire().await else { return };
            work.await;
        });
        self.under_way.insert(cluster, task);
    }

    /// Forgets clusters of which nothing is under way.
    pub(super) fn forget_idle(&mut self) {
        self.under_way.retain(|_cluster, task| !task.is_finished());
    }

    fn is_under_way(&self, cluster: ClusterId) -> bool {
        self.under_way.get(&cluster).is_some_and(|task| !task.is_finished())
    }
}

#[cfg(test)]
impl ByCluster {
    /// Clusters of which something is under way.
    pub(super) fn busy(&self) -> Vec<ClusterId> {
        self.under_way.keys().copied().filter(|cluster| self.is_under_way(*cluster)).collect()
    }

    /// Until all is done.
    pub(super) async fn finish(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}
