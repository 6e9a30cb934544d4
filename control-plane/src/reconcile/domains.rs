//! Looks again, every now and then, whether verified domains are still their tenants'.

use crate::domains::Proofs;
use catalog_schema::{Catalog, CatalogError, Context, DomainRecord};
use config::DomainsConfig;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often to see which are due, where the settings ask for no more.
const INTERVAL_MAX: Duration = Duration::from_secs(60);

/// Domains looked at in one go, one after the other.
const AT_ONCE_MAX: u32 = 100;

/// Runs until `shutdown`. Several control planes may do this at once: a domain is looked at more often then.
pub(crate) async fn run(
    catalog: Catalog,
    proofs: Arc<Proofs>,
    settings: DomainsConfig,
    shutdown: CancellationToken,
) {
    loop {
        let looked = tokio::select! {
            looked = look_again(&catalog, &proofs, &settings) => looked,
            () = shutdown.cancelled() => return,
        };
        if let Err(error) = looked {
            tracing::debug!(%error, "domains could not be looked at again");
        }
        tokio::select! {
            () = tokio::time::sleep(settings.recheck().min(INTERVAL_MAX)) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

async fn look_again(
    catalog: &Catalog,
    proofs: &Proofs,
    settings: &DomainsConfig,
) -> Result<(), CatalogError> {
    for due in catalog.domains_due(settings.recheck(), AT_ONCE_MAX).await? {
        look_at(catalog, proofs, settings, &due).await?;
    }
    Ok(())
}

async fn look_at(
    catalog: &Catalog,
    proofs: &Proofs,
    settings: &DomainsConfig,
    due: &DomainRecord,
) -> Result<(), CatalogError> {
    let found = proofs.look_up(&due.domain, &due.challenge).await;
    let context = Context { actor: "reconcile:domains".to_owned(), request_id: "reconcile".to_owned() };
    let mut tx = catalog.begin(&context).await?;
    let looked = match found {
        Ok(true) => tx.domain_found(due.tenant, &due.domain).await,
        Ok(false) => tx.domain_missed(due.tenant, &due.domain, true, settings.grace()).await,
        Err(error) => {
            tracing::info!(domain = %due.domain, %error, "a domain's record could not be looked for");
            tx.domain_missed(due.tenant, &due.domain, false, settings.grace()).await
        }
    };
    match looked {
        Ok(now) if now.verified_at.is_none() => {
            tracing::warn!(domain = %due.domain, tenant.id = %due.tenant, "a domain leads to its tenant no more");
        }
        // It was deleted meanwhile.
        Err(CatalogError::NotFound { .. }) => return tx.rollback().await,
        Ok(_) => {}
        Err(error) => return Err(error),
    }
    tx.commit().await
}
