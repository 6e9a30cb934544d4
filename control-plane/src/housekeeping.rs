//! Removes from the catalog what time has made worthless. Takes no input, may run twice and anywhere.

use catalog_schema::{Catalog, CatalogError, Context, Retention};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often. Each run removes a bounded number of rows, so a long list takes several.
const INTERVAL: Duration = Duration::from_secs(60);

/// How old an account gets that an invite has made and that belongs nowhere.
const ACCOUNT_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Such accounts removed in one run.
const ACCOUNTS_AT_ONCE: u32 = 100;

/// Runs until `shutdown`.
pub(crate) async fn run(catalog: Catalog, shutdown: CancellationToken) {
    loop {
        match catalog.prune(&Retention::default()).await {
            Ok(pruned) => tracing::debug!(?pruned, "catalog tidied"),
            Err(error) => tracing::debug!(%error, "the catalog could not be tidied"),
        }
        match forget(&catalog).await {
            Ok(0) => {}
            Ok(forgotten) => tracing::info!(forgotten, "accounts that belong nowhere were removed"),
            Err(error) => tracing::debug!(%error, "accounts that belong nowhere could not be removed"),
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

async fn forget(catalog: &Catalog) -> Result<usize, CatalogError> {
    let context = Context { actor: "housekeeping".to_owned(), request_id: String::new() };
    let mut tx = catalog.begin(&context).await?;
    let forgotten = tx.users_forget(ACCOUNT_AGE, ACCOUNTS_AT_ONCE).await?;
    tx.commit().await?;
    Ok(forgotten)
}
