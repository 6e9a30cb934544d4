//! One task that lets idle connections and pools go, for all pools.

use super::Registry;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The longest that a connection outlives its idle time-out.
const SWEEP_INTERVAL_MAX: Duration = Duration::from_secs(10);

/// Sweeps until `stop` fires, then closes every idle connection.
pub async fn run(registry: Arc<Registry>, stop: CancellationToken) {
    let settings = registry.settings();
    let (idle_timeout, lifetime_max) = (settings.idle_timeout(), settings.max_lifetime());
    let mut interval =
        tokio::time::interval((idle_timeout / 2).clamp(Duration::from_millis(100), SWEEP_INTERVAL_MAX));
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = interval.tick() => {}
        }
        retire_the_old(&registry, lifetime_max);
        for pool in registry.pools() {
            pool.close_stale(idle_timeout, lifetime_max);
            let (key, unused_for) = (pool.key().clone(), pool.unused_for());
            drop(pool);
            if unused_for >= idle_timeout {
                registry.forget_empty(&key);
            }
        }
    }
    registry.retire_all();
}

/// A connection that is never idle when the sweep comes is closed when it is next given back.
pub(super) fn retire_the_old(registry: &Registry, lifetime_max: Duration) {
    for cluster in registry.clusters() {
        for server in cluster.servers().all().iter().filter(|server| server.age() >= lifetime_max) {
            server.need_close();
        }
    }
}
