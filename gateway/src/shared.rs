//! What all connections share. Built once by [`crate::app`], read everywhere.

use crate::authenticate::MockSeed;
use crate::authenticate::password::PasswordChecks;
use crate::cancel::CancelRegistry;
use crate::metrics::GatewayUsage;
use crate::pool::Registry;
use crate::resolve::Routes;
use crate::resolve::follow::Progress;
use config::GatewayConfig;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// What all connections share.
pub struct Shared {
    /// The settings.
    pub config: GatewayConfig,
    /// From names to tenants.
    pub routes: Arc<Routes>,
    /// Server connections.
    pub pools: Arc<Registry>,
    /// From cancel keys to sessions.
    pub cancels: Arc<CancelRegistry>,
    /// Counters that belong to no tenant.
    pub usage: GatewayUsage,
    /// How far the catalog was followed.
    pub progress: Arc<Progress>,
    /// Makes unknown users look like known ones.
    pub mock_seed: MockSeed,
    /// Password checks of HTTP clients, bounded and remembered.
    pub passwords: PasswordChecks,
    /// Places for clients of either protocol, authenticated or not.
    pub client_places: Arc<Semaphore>,
    /// Fires when the gateway is to drain.
    pub drain: CancellationToken,
    /// Fires when the drain's time is up: clients that are still there are cut off.
    pub cut_off: CancellationToken,
}
