//! Gives keys to the roles that still have a password of an older release. No gateway reaches such a tenant, so this
//! runs when the control plane starts. Roles that are made now have keys from the beginning: with the last old one
//! the work is over.

use crate::context::EngineState;
use crate::postgres::{Endpoint, PostgresError, role};
use crate::secrets::{self, SecretsError};
use catalog_schema::{CatalogError, Context};
use std::time::Duration;
use tenancy::TenantId;
use tokio_util::sync::CancellationToken;

/// How soon to try again after something did not work.
const RETRY_PAUSE: Duration = Duration::from_secs(10);

/// Why a role could not be given keys.
#[derive(Debug, thiserror::Error)]
enum NoKeys {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Cluster(#[from] PostgresError),
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    #[error("the cluster is not on record")]
    NoCluster,
}

/// Runs until every role has keys, or until `shutdown`.
pub(crate) async fn run(state: EngineState, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            done = pass(&state) => if done { return },
            () = shutdown.cancelled() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY_PAUSE) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Is every role done?
async fn pass(state: &EngineState) -> bool {
    loop {
        let left = match state.catalog.placements_without_keys().await {
            Ok(left) => left,
            Err(error) => {
                tracing::debug!(%error, "the catalog could not be asked for roles without keys");
                return false;
            }
        };
        if left.is_empty() {
            return true;
        }
        let mut all_done = true;
        for tenant in left {
            match give_keys(state, tenant).await {
                Ok(()) => {
                    tracing::info!(tenant.id = %tenant, "the tenant's role has keys in place of its password");
                }
                Err(error) => {
                    tracing::warn!(tenant.id = %tenant, %error, "the tenant's role has no keys yet, nobody can reach the tenant");
                    all_done = false;
                }
            }
        }
        if !all_done {
            return false;
        }
    }
}

/// The cluster's lock is held from the look until the keys are on record: two control planes that start at once
/// would otherwise store one's keys and leave the role with the other's.
async fn give_keys(state: &EngineState, tenant: TenantId) -> Result<(), NoKeys> {
    let Some(placement) = state.catalog.placement_get(tenant).await? else { return Ok(()) };
    let admin = state.catalog.cluster_admin(placement.cluster).await?.ok_or(NoKeys::NoCluster)?;
    let ddl = state.clusters.lock(&Endpoint::from(admin)).await?;
    let placement = state.catalog.placement_get(tenant).await?;
    if let Some(placement) = placement.filter(|placement| placement.keys.is_none()) {
        let keys = secrets::role_keys()?;
        // One that is not made yet is made with these keys.
        if role::find(&ddl, &placement.role, tenant).await?.is_some() {
            role::set_verifier(&ddl, &placement.role, &secrets::role_verifier(&keys)).await?;
        }
        let context = Context { actor: "control-plane".to_owned(), request_id: "role-keys".to_owned() };
        let mut tx = state.catalog.begin(&context).await?;
        tx.placement_keys_set(tenant, &keys).await?;
        tx.commit().await?;
    }
    ddl.release().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::pass;
    use crate::operations::standard;
    use crate::testing::{World, shared_server};
    use tenancy::TenantState;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_role_with_a_password_of_before_gets_keys_and_loses_the_password() {
        let (world, server) = (World::new().await, shared_server().await);
        let tenant = standard::tenant_in(&world, TenantState::Active).await;
        let placement = world.catalog.placement_get(tenant).await.unwrap().unwrap();
        let (role, database) = (&placement.role, &placement.database);
        world.admin.batch_execute(&format!("alter role {role} password 'of before'")).await.unwrap();
        let old = format!(
            "host=127.0.0.1 port={} user={role} password='of before' dbname={database}",
            server.port()
        );
        assert!(tokio_postgres::connect(&old, tokio_postgres::NoTls).await.is_ok());
        world.forget_keys(tenant).await;
        assert!(world.catalog.route_by_id(tenant).await.unwrap().unwrap().placement.is_none());

        assert!(pass(&world.engine).await, "all have keys afterwards");
        world.log_in(tenant).await;
        assert!(tokio_postgres::connect(&old, tokio_postgres::NoTls).await.is_err());
        let keys = world.catalog.placement_get(tenant).await.unwrap().unwrap().keys;
        assert!(pass(&world.engine).await);
        assert_eq!(
            world.catalog.placement_get(tenant).await.unwrap().unwrap().keys,
            keys,
            "it changes no others"
        );
    }
}
