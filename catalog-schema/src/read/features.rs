//! Features, and what tenants have of them.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::row::Columns;
use crate::sql::{text, uuid};
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use tenancy::{FeatureName, Percentage, PlanName, Revision, Rollout, TenantId};
use tokio_postgres::Row;

/// A feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureRecord {
    /// Its name.
    pub name: FeatureName,
    /// What it is, for people.
    pub description: String,
    /// Who has it.
    pub rollout: Rollout,
    /// The gateway itself asks for it, so it cannot be removed.
    pub built_in: bool,
    /// Rises with every change.
    pub version: i64,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// What was said of one tenant and one feature.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OwnFeature {
    /// Which.
    pub feature: FeatureName,
    /// Whether the tenant has it.
    pub is_on: bool,
    /// From when on this says nothing.
    pub expires_at: Option<Timestamp>,
}

impl OwnFeature {
    /// Does it say something at this time?
    #[must_use]
    pub fn holds_at(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// Who has which features, as far as that is no single tenant's matter, all of one moment. There are no more than
/// [`crate::FEATURES_MAX`].
#[derive(Debug, Clone, Default)]
pub struct FeaturesDocument {
    /// The revision at which any of it changed last; what it says is at least as new.
    pub version: Revision,
    /// By name.
    pub features: HashMap<FeatureName, Rollout>,
}

pub(crate) const FEATURE: &str = "select f.*,
    (select coalesce(jsonb_object_agg(p.plan, p.is_on), '{}'::jsonb) from catalog.plan_features p where p.feature = f.name)
      as plans
  from catalog.features f";

/// What was said of the tenant that `t` is, and still holds, as JSON.
pub(crate) const OWN_FEATURES: &str = "(select coalesce(jsonb_agg(jsonb_build_object(
      'feature', o.feature, 'is_on', o.is_on, 'expires_at', o.expires_at) order by o.feature), '[]'::jsonb)
    from catalog.tenant_features o where o.tenant_id = t.id and (o.expires_at is null or o.expires_at > now()))";

impl Catalog {
    /// All features, by name.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn features(&self) -> Result<Vec<FeatureRecord>, CatalogError> {
        let rows = self.rows(&format!("{FEATURE} order by f.name"), &[]).await?;
        rows.iter().map(feature_of_row).collect()
    }

    /// One feature.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn feature_get(&self, name: &FeatureName) -> Result<Option<FeatureRecord>, CatalogError> {
        let row = self.row(&format!("{FEATURE} where f.name = $1"), &[text(name.as_str())]).await?;
        row.as_ref().map(feature_of_row).transpose()
    }

    /// What was said of a tenant and still holds, by feature.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn features_of(&self, tenant: TenantId) -> Result<Vec<OwnFeature>, CatalogError> {
        let sql = format!("select {OWN_FEATURES} as features from catalog.tenants t where t.id = $1");
        let row = self.row(&sql, &[uuid(tenant.as_uuid())]).await?;
        row.map_or(Ok(Vec::new()), |row| own_features(row.value("features")?))
    }

    /// What gateways know of features.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn features_document(&self) -> Result<FeaturesDocument, CatalogError> {
        // In one statement, so that the version is of the moment of the rest.
        let sql = format!(
            "select v.value, (select coalesce(jsonb_agg(jsonb_build_object('name', f.name, 'by_default', f.by_default,
                'percentage', f.percentage, 'plans', f.plans)), '[]'::jsonb) from ({FEATURE}) f) as features
             from catalog.features_version v"
        );
        let row = self.row(&sql, &[]).await?;
        let row = row.ok_or_else(|| CatalogError::corrupt("features_version", "its row is missing"))?;
        let features: Vec<Stored> = serde_json::from_value(row.value("features")?)
            .map_err(|why| CatalogError::corrupt("features", why))?;
        let features = features.into_iter().map(|stored| (stored.name.clone(), stored.into())).collect();
        Ok(FeaturesDocument { version: Revision::new(row.value("value")?), features })
    }
}

/// A feature as the statement above gathers it.
#[derive(Deserialize)]
struct Stored {
    name: FeatureName,
    by_default: bool,
    percentage: Percentage,
    plans: BTreeMap<PlanName, bool>,
}

impl From<Stored> for Rollout {
    fn from(stored: Stored) -> Self {
        let Stored { by_default, percentage, plans, name: _ } = stored;
        Self { by_default, percentage, plans: plans.into_iter().collect() }
    }
}

pub(crate) fn own_features(json: serde_json::Value) -> Result<Vec<OwnFeature>, CatalogError> {
    serde_json::from_value(json).map_err(|why| CatalogError::corrupt("tenant_features", why))
}

pub(crate) fn feature_of_row(row: &Row) -> Result<FeatureRecord, CatalogError> {
    let plans: BTreeMap<PlanName, bool> = serde_json::from_value(row.value("plans")?)
        .map_err(|why| CatalogError::corrupt("plan_features", why))?;
    let percentage = Percentage::try_from(row.number::<u8>("percentage")?)
        .map_err(|why| CatalogError::corrupt("percentage", why))?;
    let by_default = row.value("by_default")?;
    Ok(FeatureRecord {
        name: row.word("name")?,
        description: row.value("description")?,
        rollout: Rollout { by_default, percentage, plans: plans.into_iter().collect() },
        built_in: row.value("built_in")?,
        version: row.value("version")?,
        created_at: row.value("created_at")?,
        updated_at: row.value("updated_at")?,
    })
}
