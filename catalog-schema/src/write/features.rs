//! Features: registered, rolled out, given to single tenants.

use crate::error::{CatalogError, Constraint};
use crate::read::features::{FEATURE, FeatureRecord, OwnFeature, feature_of_row};
use crate::read::tenants::TenantRecord;
use crate::row::Columns;
use crate::sql::{Arg, bigint, boolean, text, timestamp, uuid};
use crate::tx::Tx;
use serde_json::json;
use std::collections::BTreeMap;
use tenancy::{FeatureName, PlanName, Rollout, TenantId};

/// Features are in every gateway's memory, and read whole when one of them changes: there may not be more than this.
pub const FEATURES_MAX: u32 = 1_000;

/// Plans that one feature may say something of.
pub const FEATURE_PLANS_MAX: u32 = 100;

/// What is said of a tenant is part of its route: it may not be about more features than this.
pub const OWN_FEATURES_MAX: u32 = 100;

/// What a feature is to be like. Its name and kind stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureSettings {
    /// What it is, for people.
    pub description: String,
    /// Who has it.
    pub rollout: Rollout,
}

impl Tx {
    /// Registers a feature.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`] when there is one of this name; [`CatalogError::LimitReached`];
    /// [`CatalogError::NotFound`] when there is no such plan; or when the catalog is unavailable.
    pub async fn feature_create(
        &mut self,
        name: &FeatureName,
        settings: &FeatureSettings,
    ) -> Result<FeatureRecord, CatalogError> {
        // Two who register at once take turns, or both would find room for one.
        self.execute("lock table catalog.features in share row exclusive mode", &[]).await?;
        let row = self.row("select count(*) as count from catalog.features", &[]).await?;
        if row.map_or(Ok(0), |row| row.number::<u32>("count"))? >= FEATURES_MAX {
            return Err(CatalogError::LimitReached { what: "features", max: FEATURES_MAX });
        }
        let sql = "insert into catalog.features (name, description, by_default, percentage)
                   values ($1, $2, $3, $4::bigint) on conflict do nothing";
        if self.execute(sql, &settings_args(name, settings)).await? == 0 {
            return Err(CatalogError::Conflict { constraint: Constraint::FeatureTaken });
        }
        self.feature_plans_set(name, &settings.rollout).await?;
        self.feature_told("feature.create", name).await
    }

    /// A feature that nobody else changes before this transaction ends.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`]; [`CatalogError::StaleVersion`] when it is not at `expected_version`; or when the
    /// catalog is unavailable.
    pub async fn feature_lock(
        &mut self,
        name: &FeatureName,
        expected_version: Option<i64>,
    ) -> Result<FeatureRecord, CatalogError> {
        let sql = format!("{FEATURE} where f.name = $1 for no key update of f");
        let feature = self.row(&sql, &[text(name.as_str())]).await?;
        let feature = feature_of_row(&feature.ok_or(CatalogError::NotFound { what: "feature" })?)?;
        let current = feature.version;
        if expected_version.is_some_and(|expected| expected != current) {
            return Err(CatalogError::StaleVersion { current });
        }
        Ok(feature)
    }

    /// Changes a feature, for all tenants. It is locked.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when there is no such feature or plan, [`CatalogError::LimitReached`], or when the
    /// catalog is unavailable.
    pub async fn feature_update(
        &mut self,
        name: &FeatureName,
        settings: &FeatureSettings,
    ) -> Result<FeatureRecord, CatalogError> {
        // The time too, so that its version rises whatever it is that changes.
        let sql = "update catalog.features
                     set description = $2, by_default = $3, percentage = $4::bigint, updated_at = clock_timestamp()
                   where name = $1";
        if self.execute(sql, &settings_args(name, settings)).await? == 0 {
            return Err(CatalogError::NotFound { what: "feature" });
        }
        self.feature_plans_set(name, &settings.rollout).await?;
        self.feature_told("feature.update", name).await
    }

    /// Removes a feature, and all that was said of it.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`]; [`CatalogError::Refused`] when it is the gateway's own; or when the catalog is
    /// unavailable.
    pub async fn feature_delete(&mut self, name: &FeatureName) -> Result<FeatureRecord, CatalogError> {
        // Nobody is given it any more. Then who has it, in the order in which all such removals come by: with the
        // feature goes what was said of them.
        let sql = "select from catalog.features where name = $1 for update";
        self.execute(sql, &[text(name.as_str())]).await?;
        let feature = self.feature_lock(name, None).await?;
        let sql = "select from catalog.tenants t
                   where t.id in (select f.tenant_id from catalog.tenant_features f where f.feature = $1)
                   order by t.id for no key update";
        self.execute(sql, &[text(name.as_str())]).await?;
        self.execute("delete from catalog.features where name = $1", &[text(name.as_str())]).await?;
        self.audit("feature.delete", None, name.as_str(), json!({}));
        Ok(feature)
    }

    /// Says of one tenant whether it has a feature, whatever its plan says. What was said before is replaced.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when there is no such living tenant, or feature; [`CatalogError::LimitReached`]; or
    /// when the catalog is unavailable.
    pub async fn tenant_feature_set(
        &mut self,
        tenant: TenantId,
        own: &OwnFeature,
    ) -> Result<TenantRecord, CatalogError> {
        let feature = own.feature.as_str();
        // Before the tenant, as whoever removes the feature does.
        let sql = "select from catalog.features where name = $1 for key share";
        self.execute(sql, &[text(feature)]).await?;
        let slug = self.lock_living_tenant(tenant).await?.slug;
        let over = "delete from catalog.tenant_features where tenant_id = $1 and expires_at <= now()";
        self.execute(over, &[uuid(tenant.as_uuid())]).await?;
        let sql = "insert into catalog.tenant_features (tenant_id, feature, is_on, expires_at)
                   select $1, f.name, $3, $4 from catalog.features f where f.name = $2
                   on conflict (tenant_id, feature) do update
                     set is_on = excluded.is_on, expires_at = excluded.expires_at";
        let args = [uuid(tenant.as_uuid()), text(feature), boolean(own.is_on), timestamp(own.expires_at)];
        if self.execute(sql, &args).await? == 0 {
            return Err(CatalogError::NotFound { what: "feature" });
        }
        let sql = "select count(*) as count from catalog.tenant_features where tenant_id = $1";
        let row = self.row(sql, &[uuid(tenant.as_uuid())]).await?;
        if row.map_or(Ok(0), |row| row.number::<u32>("count"))? > OWN_FEATURES_MAX {
            return Err(CatalogError::LimitReached {
                what: "features of this tenant's own",
                max: OWN_FEATURES_MAX,
            });
        }
        let details = json!({ "feature": feature, "enabled": own.is_on, "expires_at": own.expires_at });
        self.audit("tenant_feature.set", Some(tenant), slug.as_str(), details);
        self.tenant_read(tenant).await
    }

    /// Takes back what was said of one tenant: its plan and the feature's own settings hold again.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when nothing was said, or there is no such living tenant; or when the catalog is
    /// unavailable.
    pub async fn tenant_feature_delete(
        &mut self,
        tenant: TenantId,
        feature: &FeatureName,
    ) -> Result<TenantRecord, CatalogError> {
        let slug = self.lock_living_tenant(tenant).await?.slug;
        let sql = "delete from catalog.tenant_features where tenant_id = $1 and feature = $2";
        if self.execute(sql, &[uuid(tenant.as_uuid()), text(feature.as_str())]).await? == 0 {
            return Err(CatalogError::NotFound { what: "tenant feature" });
        }
        self.audit("tenant_feature.delete", Some(tenant), slug.as_str(), json!({ "feature": feature }));
        self.tenant_read(tenant).await
    }

    async fn feature_plans_set(&mut self, name: &FeatureName, rollout: &Rollout) -> Result<(), CatalogError> {
        if rollout.plans.len() > usize::try_from(FEATURE_PLANS_MAX).unwrap_or(usize::MAX) {
            return Err(CatalogError::LimitReached { what: "plans of a feature", max: FEATURE_PLANS_MAX });
        }
        let said: BTreeMap<&PlanName, bool> =
            rollout.plans.iter().map(|(plan, is_on)| (plan, *is_on)).collect();
        let said = json!(said);
        let gone = "delete from catalog.plan_features where feature = $1 and not $2 ? plan";
        self.execute(gone, &[text(name.as_str()), Arg::Json(Some(&said))]).await?;
        let sql = "insert into catalog.plan_features (plan, feature, is_on)
                   select p.name, $1, s.value::boolean from jsonb_each_text($2) s join catalog.plans p on p.name = s.key
                   on conflict (feature, plan) do update set is_on = excluded.is_on
                     where plan_features.is_on is distinct from excluded.is_on";
        self.execute(sql, &[text(name.as_str()), Arg::Json(Some(&said))]).await?;
        let row = self
            .row(
                "select count(*) as count from catalog.plan_features where feature = $1",
                &[text(name.as_str())],
            )
            .await?;
        if row.map_or(Ok(0), |row| row.number::<usize>("count"))? != rollout.plans.len() {
            return Err(CatalogError::NotFound { what: "plan" });
        }
        Ok(())
    }

    async fn feature_told(
        &mut self,
        what: &'static str,
        name: &FeatureName,
    ) -> Result<FeatureRecord, CatalogError> {
        let feature = self.feature_lock(name, None).await?;
        let Rollout { by_default, percentage, plans } = &feature.rollout;
        let plans: BTreeMap<&PlanName, bool> = plans.iter().map(|(plan, is_on)| (plan, *is_on)).collect();
        let details = json!({ "description": feature.description, "default": by_default, "percentage": percentage, "plans": plans });
        self.audit(what, None, name.as_str(), details);
        Ok(feature)
    }
}

fn settings_args<'a>(name: &'a FeatureName, settings: &'a FeatureSettings) -> [Arg<'a>; 4] {
    let FeatureSettings { description, rollout } = settings;
    let percentage = i64::from(u8::from(rollout.percentage));
    [text(name.as_str()), text(description.as_str()), boolean(rollout.by_default), bigint(percentage)]
}
