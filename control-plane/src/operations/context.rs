//! What a step is given, and nothing more: the tenant, the outputs so far, and ways to the catalog and the
//! clusters on which whoever has lost the operation gets nothing done.

use super::error::StepError;
use crate::context::EngineState;
use crate::postgres::{ClusterDdl, Endpoint, PostgresError, Session};
use catalog_schema::{Catalog, CatalogError, Claim, Context, FencedTx, PlacementDetail, TenantRecord};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashMap;
use tenancy::{ClusterId, DatabaseName, OperationId, TenantId};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};

/// One claimed operation, as its steps see it.
pub(crate) struct StepContext {
    state: EngineState,
    claim: Claim,
    audit: Context,
    tenant: TenantId,
    outputs: HashMap<String, Value>,
    inside: Mutex<Option<Session>>,
}

impl StepContext {
    pub(super) fn new(state: EngineState, claim: Claim, audit: Context, tenant: TenantId) -> Self {
        Self { state, claim, audit, tenant, outputs: HashMap::new(), inside: Mutex::new(None) }
    }

    /// Remembers what a step has put out, for those after it.
    pub(super) fn remember(&mut self, step: &str, output: Value) {
        self.outputs.insert(step.to_owned(), output);
    }

    /// The operation.
    pub(crate) const fn operation(&self) -> OperationId {
        self.claim.operation
    }

    /// The tenant that it works on.
    pub(crate) const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The catalog, for reading.
    pub(crate) const fn catalog(&self) -> &Catalog {
        &self.state.catalog
    }

    /// A transaction in which the operation is still ours until it ends.
    pub(crate) async fn fenced(&self) -> Result<FencedTx, CatalogError> {
        self.state.catalog.begin_fenced(&self.audit, &self.claim).await
    }

    /// What an earlier step has put out; `None` when it has not, or not in this form.
    pub(crate) fn output<T: DeserializeOwned>(&self, step: &str) -> Option<T> {
        serde_json::from_value(self.outputs.get(step)?.clone()).ok()
    }

    /// The tenant's record, which outlives the tenant.
    pub(crate) async fn tenant_record(&self) -> Result<TenantRecord, StepError> {
        self.catalog().tenant_get(self.tenant).await?.ok_or(StepError::Missing("the tenant's record"))
    }

    /// Where the tenant's data is, if it is anywhere.
    pub(crate) async fn placement(&self) -> Result<Option<PlacementDetail>, StepError> {
        Ok(self.catalog().placement_get(self.tenant).await?)
    }

    /// How to reach a cluster as its admin.
    pub(crate) async fn endpoint(&self, cluster: ClusterId) -> Result<Endpoint, StepError> {
        let admin =
            self.catalog().cluster_admin(cluster).await?.ok_or(StepError::Missing("the cluster's record"))?;
        Ok(admin.into())
    }

    /// The right to change a cluster's roles and databases.
    ///
    /// The claim is checked once the lock is held: whoever took the operation over has to wait for this
    /// lock before it changes the cluster, so nothing that is done under it comes after that.
    pub(crate) async fn change_cluster(&self, endpoint: &Endpoint) -> Result<ClusterDdl, StepError> {
        let ddl = self.state.clusters.lock(endpoint).await?;
        self.fenced().await?.rollback().await?;
        Ok(ddl)
    }

    /// An admin session of the step's own in any database of the cluster, by its name.
    pub(crate) async fn visit(&self, endpoint: &Endpoint, database: &str) -> Result<Session, PostgresError> {
        self.state.clusters.enter(endpoint, database).await
    }

    /// The admin session inside the tenant's database; one serves all steps, because the first into a new
    /// database is slow. It ends with the operation's walk.
    pub(crate) async fn enter(
        &self,
        endpoint: &Endpoint,
        database: &DatabaseName,
    ) -> Result<MappedMutexGuard<'_, Session>, PostgresError> {
        let mut inside = self.inside.lock().await;
        if inside.as_ref().is_none_or(Session::closed) {
            *inside = Some(self.state.clusters.enter(endpoint, database.as_str()).await?);
        }
        MutexGuard::try_map(inside, Option::as_mut)
            .map_err(|_| PostgresError::Lost { address: format!("{}:{}", endpoint.host, endpoint.port) })
    }
}
