//! Tenants: creation, change of what people set, and change of state.

use crate::error::CatalogError;
use crate::read::tenants::{TENANT, TenantRecord, tenant_of_row};
use crate::row::Columns;
use crate::sql::{millis, text, texts, uuid};
use crate::tx::Tx;
use serde_json::json;
use std::time::Duration;
use tenancy::{Isolation, PlanName, RegionName, Slug, TenantId, TenantState};

/// How long a renamed tenant is still reached by its old name, unless its operator says otherwise.
pub const ALIAS_TTL: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A tenant to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTenant {
    /// Its id.
    pub id: TenantId,
    /// The name in addresses.
    pub slug: Slug,
    /// The name for people.
    pub display_name: String,
    /// Where it is at home.
    pub region: RegionName,
    /// Where its data and its connections may be; must hold `region`.
    pub allowed_regions: Vec<RegionName>,
    /// What it bought.
    pub plan: PlanName,
    /// How it is kept apart from the others.
    pub isolation: Isolation,
}

/// What of a tenant is to change; unset stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TenantPatch {
    /// A new name in addresses.
    pub slug: Option<Slug>,
    /// How long the old name still leads to it; [`ALIAS_TTL`] if nothing is said, and not at all for no time.
    pub keep_slug: Option<Duration>,
    /// A new name for people.
    pub display_name: Option<String>,
    /// Another plan.
    pub plan: Option<PlanName>,
    /// Other regions where its data and its connections may be; must hold its home, and the region
    /// where its data is.
    pub allowed_regions: Option<Vec<RegionName>>,
}

/// Former names that lead to one tenant at a time. They are part of its route, and nobody else gets them.
pub const ALIASES_MAX: u32 = 8;

impl Tx {
    /// Reserves a tenant's name, in state `provisioning`.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`] when the name is taken or still leads to another tenant,
    /// [`CatalogError::Refused`] when a region or the plan does not exist, or when the catalog is unavailable.
    pub async fn tenant_create(&mut self, new: &NewTenant) -> Result<TenantRecord, CatalogError> {
        let allowed: Vec<String> = new.allowed_regions.iter().map(ToString::to_string).collect();
        self.drop_expired_alias(&new.slug).await?;
        let sql = "insert into catalog.tenants
                     (id, slug, display_name, region, allowed_regions, plan, isolation, state)
                   values ($1, $2, $3, $4, $5, $6, $7, 'provisioning')";
        let args = [
            uuid(new.id.as_uuid()),
            text(new.slug.as_str()),
            text(new.display_name.as_str()),
            text(new.region.as_str()),
            texts(&allowed),
            text(new.plan.as_str()),
            text(new.isolation.as_str()),
        ];
        self.execute(sql, &args).await?;
        let detail = json!({
            "slug": new.slug, "region": new.region, "allowed_regions": new.allowed_regions,
            "plan": new.plan, "isolation": new.isolation,
        });
        self.audit("tenant.create", Some(new.id), new.slug.as_str(), detail);
        self.tenant_read(new.id).await
    }

    /// Changes what people set, if the tenant still is at `expected_version`.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] (a deleted tenant does not change), [`CatalogError::StaleVersion`],
    /// [`CatalogError::Conflict`] when the new name is taken or still leads to another tenant,
    /// [`CatalogError::Refused`] when a region or the plan does not fit, or when the catalog is unavailable.
    pub async fn tenant_update(
        &mut self,
        id: TenantId,
        expected_version: Option<i64>,
        patch: &TenantPatch,
    ) -> Result<TenantRecord, CatalogError> {
        let before = self.lock_living_tenant(id).await?;
        if expected_version.is_some_and(|expected| expected != before.version) {
            return Err(CatalogError::StaleVersion { current: before.version });
        }
        let renamed = patch.slug.as_ref().filter(|slug| **slug != before.slug);
        if let Some(slug) = renamed {
            let keep = patch.keep_slug.unwrap_or(ALIAS_TTL);
            self.leave_alias(id, &before.slug, slug, keep).await?;
        }
        let allowed = patch.allowed_regions.as_ref().unwrap_or(&before.allowed_regions);
        let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        let sql = "update catalog.tenants set slug = coalesce($2, slug),
                     display_name = coalesce($3, display_name), plan = coalesce($4, plan), allowed_regions = $5
                   where id = $1";
        let args = [
            uuid(id.as_uuid()),
            text(renamed.map(Slug::as_str)),
            text(patch.display_name.as_deref()),
            text(patch.plan.as_ref().map(PlanName::as_str)),
            texts(&allowed),
        ];
        self.execute(sql, &args).await?;
        let detail = json!({
            "slug": renamed, "plan": patch.plan, "allowed_regions": patch.allowed_regions,
            "display_name_changed": patch.display_name.is_some(),
        });
        self.audit("tenant.update", Some(id), before.slug.as_str(), detail);
        self.tenant_read(id).await
    }

    /// Brings a tenant into state `to`, if the table of states allows it. One that is there already
    /// stays as it is, so a step may do this twice. `Deleted` is reached by [`Tx::tenant_bury`] only.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], [`CatalogError::IllegalTransition`], or when the catalog is unavailable.
    pub async fn tenant_set_state(
        &mut self,
        id: TenantId,
        to: TenantState,
    ) -> Result<TenantRecord, CatalogError> {
        let before = self.lock_tenant(id).await?;
        if before.state == to {
            return Ok(before);
        }
        if to == TenantState::Deleted || !before.state.may_become(to) {
            return Err(CatalogError::IllegalTransition { from: before.state, to });
        }
        let sql = "update catalog.tenants set state = $2 where id = $1";
        self.execute(sql, &[uuid(id.as_uuid()), text(to.as_str())]).await?;
        let detail = json!({ "from": before.state, "to": to });
        self.audit("tenant.state", Some(id), before.slug.as_str(), detail);
        self.tenant_read(id).await
    }

    /// Locks a tenant until the end of the transaction, and reads it.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], or when the catalog is unavailable.
    pub async fn lock_tenant(&mut self, id: TenantId) -> Result<TenantRecord, CatalogError> {
        let sql = format!("{TENANT} where t.id = $1 for no key update of t");
        let row = self.row(&sql, &[uuid(id.as_uuid())]).await?;
        tenant_of_row(&row.ok_or(CatalogError::NotFound { what: "tenant" })?)
    }

    pub(crate) async fn lock_living_tenant(&mut self, id: TenantId) -> Result<TenantRecord, CatalogError> {
        let tenant = self.lock_tenant(id).await?;
        if tenant.state == TenantState::Deleted {
            return Err(CatalogError::NotFound { what: "tenant" });
        }
        Ok(tenant)
    }

    pub(crate) async fn tenant_read(&mut self, id: TenantId) -> Result<TenantRecord, CatalogError> {
        let row = self.row(&format!("{TENANT} where t.id = $1"), &[uuid(id.as_uuid())]).await?;
        tenant_of_row(&row.ok_or(CatalogError::NotFound { what: "tenant" })?)
    }

    /// The old name leads to the tenant for a while. A tenant that takes a former name of its own back
    /// no longer needs it as an alias.
    async fn leave_alias(
        &mut self,
        id: TenantId,
        old: &Slug,
        new: &Slug,
        keep: Duration,
    ) -> Result<(), CatalogError> {
        self.drop_expired_alias(new).await?;
        let own = "delete from catalog.slug_aliases where slug = $1 and tenant_id = $2";
        self.execute(own, &[text(new.as_str()), uuid(id.as_uuid())]).await?;
        if keep.is_zero() {
            return Ok(());
        }
        let count = "select count(*) as count from catalog.slug_aliases
                     where tenant_id = $1 and slug <> $2 and expires_at > now()";
        let row = self.row(count, &[uuid(id.as_uuid()), text(old.as_str())]).await?;
        if row.map_or(Ok(0), |row| row.number::<u32>("count"))? >= ALIASES_MAX {
            return Err(CatalogError::LimitReached { what: "former names of this tenant", max: ALIASES_MAX });
        }
        let sql = "insert into catalog.slug_aliases (slug, tenant_id, expires_at)
                   values ($1, $2, now() + $3 * interval '1 millisecond')
                   on conflict (slug) do update set tenant_id = excluded.tenant_id, expires_at = excluded.expires_at";
        self.execute(sql, &[text(old.as_str()), uuid(id.as_uuid()), millis(keep)]).await.map(drop)
    }

    async fn drop_expired_alias(&mut self, slug: &Slug) -> Result<(), CatalogError> {
        let sql = "delete from catalog.slug_aliases where slug = $1 and expires_at <= now()";
        self.execute(sql, &[text(slug.as_str())]).await.map(drop)
    }

    /// The tenant's name, for audit rows of things that hang on it.
    pub(crate) async fn slug_of(&mut self, id: TenantId) -> Result<String, CatalogError> {
        let row = self.row("select slug from catalog.tenants where id = $1", &[uuid(id.as_uuid())]).await?;
        row.ok_or(CatalogError::NotFound { what: "tenant" })?.value("slug")
    }
}
