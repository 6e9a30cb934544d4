//! A tenant's database and roles on their cluster, and the rule for removing them.
//!
//! Nothing is dropped whose oid the ledger did not record. What an interrupted step made and did not get to
//! record is recorded first, if its name and mark prove it to be the tenant's, and only then dropped. Provision's undo and purge
//! share this.

use super::context::StepContext;
use super::error::StepError;
use crate::access_roles;
use crate::postgres::database::{self, Owned};
use crate::postgres::{ClusterDdl, Endpoint, grants, prepared, privileges, role};
use crate::secrets;
use catalog_schema::{AccessRole, NameKind, PlacementDetail, RoleLogin};
use std::time::{Duration, Instant};
use tenancy::{Access, RoleName};

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

    /// The owner's role, and what logs in as it.
    pub(super) fn owner_login(&self) -> Result<RoleLogin, StepError> {
        let keys = self.placement.keys.clone().ok_or(StepError::Missing("keys for the tenant's role"))?;
        Ok(RoleLogin { role: self.placement.role.clone(), keys })
    }

    /// Lets none of the tenant's roles log in any more. They are read anew, under the cluster's lock: the reconciler may
    /// just have made some. Returns their names.
    pub(super) async fn forbid_login(
        &self,
        cx: &StepContext,
        ddl: &ClusterDdl,
    ) -> Result<Vec<RoleName>, StepError> {
        let placement = cx.placement().await?.ok_or(StepError::Missing("the tenant's placement"))?;
        let roles: Vec<RoleName> = access_roles::names(&placement).cloned().collect();
        for role in &roles {
            role::forbid_login(ddl, role, placement.tenant).await?;
        }
        Ok(roles)
    }

    /// Lets the roles log in no more, and gives what they run a while to end.
    pub(super) async fn wind_down(&self, cx: &StepContext) -> Result<(), StepError> {
        let started = Instant::now();
        loop {
            // Between two looks others may change the cluster.
            let ddl = cx.change_cluster(&self.endpoint).await?;
            let roles = self.forbid_login(cx, &ddl).await?;
            let busy = role::busy_sessions(&ddl, &roles).await?;
            ddl.release().await;
            if busy == 0 || started.elapsed() >= FINISH_MAX {
                return Ok(());
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Lets the roles log in no more and ends their sessions. Returns how many there were.
    pub(super) async fn shut_login(&self, cx: &StepContext) -> Result<i64, StepError> {
        let ddl = cx.change_cluster(&self.endpoint).await?;
        let roles = self.forbid_login(cx, &ddl).await?;
        let ended = role::end_sessions(&ddl, &roles).await?;
        ddl.release().await;
        Ok(ended)
    }

    /// Makes the roles and the database such that the gateway gets in, whatever their owner has done to them.
    pub(super) async fn open_login(&self, cx: &StepContext) -> Result<(), StepError> {
        let PlacementDetail { database, role, tenant, .. } = &self.placement;
        let verifier = secrets::role_verifier(&self.owner_login()?.keys);
        let ddl = cx.change_cluster(&self.endpoint).await?;
        role::find(&ddl, role, *tenant).await?.ok_or(StepError::Missing("the tenant's role"))?;
        let oid = self.database_on_record(cx, &ddl).await?.ok_or(StepError::Missing("the database"))?;
        database::open(&ddl, &self.owned(), oid).await?;
        // What is on record: what the plan says by now is put on by whoever puts it on every tenant's.
        let settings = cx.catalog().role_settings_applied(*tenant).await?;
        role::allow_login(&ddl, role, &verifier, &settings).await?;
        privileges::admit(&ddl, database, role).await?;
        access_roles::put_in_order(&ddl, &self.placement, &settings).await?;
        access_roles::admit(&ddl, &self.placement).await?;
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

    /// Drops those of the roles that exist, and records that they are gone. Returns how many there were.
    pub(super) async fn drop_roles(&self, cx: &StepContext) -> Result<usize, StepError> {
        let ddl = cx.change_cluster(&self.endpoint).await?;
        // Under the lock, as for `forbid_login`.
        let Some(placement) = cx.placement().await? else { return Ok(0) };
        let mut found = 0;
        for AccessRole { access, login, .. } in &placement.access_roles {
            found += usize::from(self.drop_role(cx, &ddl, *access, &login.role).await?);
        }
        found += usize::from(self.drop_role(cx, &ddl, Access::Owner, &placement.role).await?);
        ddl.release().await;
        for role in access_roles::names(&placement) {
            self.record_dropped(cx, NameKind::Role, role.as_str()).await?;
        }
        Ok(found)
    }

    /// Says whether it existed.
    async fn drop_role(
        &self,
        cx: &StepContext,
        ddl: &ClusterDdl,
        access: Access,
        role: &RoleName,
    ) -> Result<bool, StepError> {
        let tenant = self.placement.tenant;
        let Some(oid) = role::find(ddl, role, tenant).await? else { return Ok(false) };
        let mut tx = cx.fenced().await?;
        match access {
            Access::Owner => tx.role_created(tenant, oid).await?,
            Access::Write | Access::Read => tx.access_role_created(tenant, access, oid).await?,
        }
        tx.commit().await?;
        self.take_grants_back(cx, ddl, role, oid).await?;
        role::drop(ddl, role).await?;
        Ok(true)
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
    async fn take_grants_back(
        &self,
        cx: &StepContext,
        ddl: &ClusterDdl,
        role: &RoleName,
        oid: u32,
    ) -> Result<(), StepError> {
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
