//! A tenant's database and role on their cluster, and the rule for removing them.
//!
//! Nothing is dropped whose oid the ledger did not record. What an interrupted step made and did not get to
//! record is recorded first, if its name and mark prove it to be the tenant's, and only then dropped. Provision's undo and purge
//! share this.

use super::context::StepContext;
use super::error::StepError;
use crate::postgres::database::{self, Owned};
use crate::postgres::{ClusterDdl, Endpoint, grants, prepared, role};
use crate::secrets;
use catalog_schema::{NameKind, PlacementDetail};
use pgwire::scram::ClientKeys;
use std::time::{Duration, Instant};

/// How long what a tenant runs may take to end when it is suspended.
const FINISH_MAX: Duration = Duration::from_secs(5);

/// How often to look whether it has.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Where the tenant's data is, and the way there.
pub(super) struct Target {
    pub(super) placement: PlacementDetail,
    pub(super) endpoint: Endpoint,
}

impl Target {
    /// Looks it up. `None` when the tenant is not placed.
    pub(super) async fn find(cx: &StepContext) -> Result<Option<Self>, StepError> {
        let Some(placement) = cx.placement().await? else { return Ok(None) };
        let endpoint = cx.endpoint(placement.cluster).await?;
        Ok(Some(Self { placement, endpoint }))
    }

    /// Looks it up where an earlier step has made it.
    pub(super) async fn expect(cx: &StepContext) -> Result<Self, StepError> {
        Self::find(cx).await?.ok_or(StepError::Missing("the tenant's placement"))
    }

    /// The database's identity.
    pub(super) const fn owned(&self) -> Owned<'_> {
        Owned {
            database: &self.placement.database,
            role: &self.placement.role,
            tenant: self.placement.tenant,
        }
    }

    /// What logs in as the role.
    pub(super) fn keys(&self) -> Result<&ClientKeys, StepError> {
        self.placement.keys.as_ref().ok_or(StepError::Missing("keys for the tenant's role"))
    }

    /// Lets the role log in no more, and gives what it runs a while to end.
    pub(super) async fn wind_down(&self, cx: &StepContext) -> Result<(), StepError> {
        let started = Instant::now();
        loop {
            // Between two looks others may change the cluster.
            let ddl = cx.change_cluster(&self.endpoint).await?;
            role::forbid_login(&ddl, &self.placement.role, self.placement.tenant).await?;
            let busy = role::busy_sessions(&ddl, &self.placement.role).await?;
            ddl.release().await;
            if busy == 0 || started.elapsed() >= FINISH_MAX {
                return Ok(());
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Lets the role log in no more and ends its sessions. Returns how many there were.
    pub(super) async fn shut_login(&self, cx: &StepContext) -> Result<i64, StepError> {
        let ddl = cx.change_cluster(&self.endpoint).await?;
        role::forbid_login(&ddl, &self.placement.role, self.placement.tenant).await?;
        let ended = role::end_sessions(&ddl, &self.placement.role).await?;
        ddl.release().await;
        Ok(ended)
    }

    /// Makes the role and the database such that the gateway gets in, whatever their owner has done to them.
    pub(super) async fn open_login(&self, cx: &StepContext) -> Result<(), StepError> {
        let PlacementDetail { database, role, tenant, .. } = &self.placement;
        let verifier = secrets::role_verifier(self.keys()?);
        let ddl = cx.change_cluster(&self.endpoint).await?;
        role::find(&ddl, role, *tenant).await?.ok_or(StepError::Missing("the tenant's role"))?;
        let oid = self.database_on_record(cx, &ddl).await?.ok_or(StepError::Missing("the database"))?;
        database::open(&ddl, &self.owned(), oid).await?;
        role::allow_login(&ddl, role, database, &verifier).await?;
        ddl.release().await;
        Ok(())
    }

    /// Shuts the database and ends all that goes on inside. Returns how many sessions that were.
    pub(super) async fn fence(&self, cx: &StepContext, ddl: &ClusterDdl, oid: u32) -> Result<i64, StepError> {
        let ended = database::fence(ddl, &self.owned(), oid).await?;
        let left = prepared::find(ddl, &self.placement.database).await?;
        if left.is_empty() {
            return Ok(ended);
        }
        // They end only from inside. The role may not log in any more, so for once the door can be opened.
        database::open(ddl, &self.owned(), oid).await?;
        let inside = cx.visit(&self.endpoint, self.placement.database.as_str()).await?;
        for transaction in &left {
            prepared::roll_back(&inside, transaction).await?;
        }
        drop(inside);
        Ok(ended + database::fence(ddl, &self.owned(), oid).await?)
    }

    /// Drops the database if it exists, and records that it is gone. Returns its oid if there was one.
    pub(super) async fn drop_database(&self, cx: &StepContext) -> Result<Option<u32>, StepError> {
        let ddl = cx.change_cluster(&self.endpoint).await?;
        let oid = self.database_on_record(cx, &ddl).await?;
        if let Some(oid) = oid {
            database::drop(&ddl, &self.owned(), oid).await?;
        }
        ddl.release().await;
        self.record_dropped(cx, NameKind::Database, self.placement.database.as_str()).await?;
        Ok(oid)
    }

    /// Drops the role if it exists, and records that it is gone. Returns its oid if there was one.
    pub(super) async fn drop_role(&self, cx: &StepContext) -> Result<Option<u32>, StepError> {
        let ddl = cx.change_cluster(&self.endpoint).await?;
        let oid = role::find(&ddl, &self.placement.role, self.placement.tenant).await?;
        if let Some(oid) = oid {
            let mut tx = cx.fenced().await?;
            tx.role_created(self.placement.tenant, oid).await?;
            tx.commit().await?;
            self.take_grants_back(cx, &ddl, oid).await?;
            role::drop(&ddl, &self.placement.role).await?;
        }
        ddl.release().await;
        self.record_dropped(cx, NameKind::Role, self.placement.role.as_str()).await?;
        Ok(oid)
    }

    /// The database's oid, recorded now if it was not. `None` when there is no database.
    pub(super) async fn database_on_record(
        &self,
        cx: &StepContext,
        ddl: &ClusterDdl,
    ) -> Result<Option<u32>, StepError> {
        let found = database::find(ddl, &self.owned()).await?;
        if let (Some(oid), None) = (found, self.placement.database_oid) {
            let mut tx = cx.fenced().await?;
            tx.database_created(self.placement.tenant, oid).await?;
            tx.commit().await?;
            return Ok(Some(oid));
        }
        // What is on record decides, not what is found: dropping checks one against the other.
        Ok(found.and(self.placement.database_oid))
    }

    /// Frees the role of what other tenants have granted it: no neighbour can keep it from being dropped.
    /// Databases beyond the first few are left to the next attempt, which the drop then leads to.
    async fn take_grants_back(&self, cx: &StepContext, ddl: &ClusterDdl, oid: u32) -> Result<(), StepError> {
        let role = &self.placement.role;
        grants::take_back(ddl, role).await?;
        for elsewhere in grants::databases(ddl, oid).await? {
            let inside = cx.visit(&self.endpoint, &elsewhere).await?;
            grants::hand_over(&inside, role).await?;
            grants::take_back(&inside, role).await?;
        }
        Ok(())
    }

    async fn record_dropped(&self, cx: &StepContext, kind: NameKind, name: &str) -> Result<(), StepError> {
        let mut tx = cx.fenced().await?;
        tx.physical_name_dropped(self.placement.tenant, kind, name).await?;
        tx.commit().await?;
        Ok(())
    }
}
