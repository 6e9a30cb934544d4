//! Removes from the catalog what time has made worthless. Takes no input, may run twice and anywhere.

use catalog_schema::{Catalog, Retention};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often. Each run removes a bounded number of rows, so a long list takes several.
const INTERVAL: Duration = Duration::from_secs(60);

/// Runs until `shutdown`.
pub(crate) async fn run(catalog: Catalog, shutdown: CancellationToken) {
    loop {
        match catalog.prune(&Retention::default()).await {
            Ok(pruned) => tracing::debug!(?pruned, "catalog tidied"),
            Err(error) => tracing::debug!(%error, "the catalog could not be tidied"),
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = shutdown.cancelled() => return,
        }
    }
}
