//! Identity providers, and their own names for tenants.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::page::Page;
use crate::row::Columns;
use crate::sql::{bigint, text, uuid};
use jiff::Timestamp;
use serde::Deserialize;
use std::sync::Arc;
use tenancy::{Issuer, IssuerId, TenantId};
use tokio_postgres::Row;

/// An identity provider, and its times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerRecord {
    /// What it is.
    pub issuer: Issuer,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// An issuer's own name for a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub struct ExternalId {
    /// Whose name it is.
    #[serde(rename = "issuer_id")]
    pub issuer: IssuerId,
    /// The name.
    #[serde(rename = "external_id")]
    pub external: String,
}

/// The same, as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalIdRecord {
    /// The name.
    pub id: ExternalId,
    /// The tenant that it stands for.
    pub tenant: TenantId,
    /// Since when.
    pub created_at: Timestamp,
}

/// An issuer `i` as JSON, in the form of [`Issuer`].
pub(crate) const ISSUER_JSON: &str = "jsonb_build_object('id', i.id, 'tenant', i.tenant_id, 'iss', i.iss,
  'audiences', i.audiences, 'algorithms', i.algorithms, 'jwks_url', i.jwks_url, 'jwks_ca', i.jwks_ca,
  'leeway_s', i.leeway_s, 'shape', i.shape, 'tenant_claim', i.tenant_claim, 'role_claim', i.role_claim,
  'user_claim', i.user_claim, 'tenant_form', i.tenant_form, 'roles', i.roles, 'default_role', i.default_role,
  'version', i.version)";

/// What a tenant's route says of these, for a tenant `t`.
pub(crate) fn route_columns() -> String {
    format!(
        "(select coalesce(jsonb_agg({ISSUER_JSON} order by i.iss), '[]'::jsonb)
          from catalog.issuers i where i.tenant_id = t.id) as issuers,
         (select coalesce(jsonb_agg(jsonb_build_object('issuer_id', x.issuer_id, 'external_id', x.external_id)
                                    order by x.issuer_id, x.external_id), '[]'::jsonb)
          from catalog.external_ids x where x.tenant_id = t.id) as external_ids"
    )
}

/// The columns of an issuer `i`, for [`issuer_of_row`].
pub(crate) fn issuer_columns() -> String {
    format!("{ISSUER_JSON} as issuer, i.created_at, i.updated_at")
}

impl Catalog {
    /// The installation's issuers, or a tenant's own, by age, a page at a time.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn issuers(
        &self,
        tenant: Option<TenantId>,
        page: &Page<IssuerId>,
    ) -> Result<Vec<IssuerRecord>, CatalogError> {
        let sql = format!(
            "select {} from catalog.issuers i
             where i.tenant_id is not distinct from $1 and ($2::uuid is null or i.id > $2) order by i.id limit $3",
            issuer_columns()
        );
        let after = page.after.map(IssuerId::as_uuid);
        let args = [uuid(tenant.map(TenantId::as_uuid)), uuid(after), bigint(page.limit())];
        self.rows(&sql, &args).await?.iter().map(issuer_of_row).collect()
    }

    /// One issuer, if it is the installation's, or this tenant's own.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn issuer_get(
        &self,
        tenant: Option<TenantId>,
        id: IssuerId,
    ) -> Result<Option<IssuerRecord>, CatalogError> {
        let sql = format!(
            "select {} from catalog.issuers i where i.tenant_id is not distinct from $1 and i.id = $2",
            issuer_columns()
        );
        let args = [uuid(tenant.map(TenantId::as_uuid)), uuid(id.as_uuid())];
        self.row(&sql, &args).await?.as_ref().map(issuer_of_row).transpose()
    }

    /// The tenant that an issuer calls by this name.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn tenant_of_external(
        &self,
        issuer: IssuerId,
        external: &str,
    ) -> Result<Option<TenantId>, CatalogError> {
        let sql = "select tenant_id from catalog.external_ids where issuer_id = $1 and external_id = $2";
        let row = self.row(sql, &[uuid(issuer.as_uuid()), text(external)]).await?;
        row.map(|row| row.id("tenant_id")).transpose()
    }

    /// What issuers call a tenant, the oldest first. There are few.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn external_ids(&self, tenant: TenantId) -> Result<Vec<ExternalIdRecord>, CatalogError> {
        let sql = "select * from catalog.external_ids where tenant_id = $1 order by created_at, issuer_id, external_id";
        self.rows(sql, &[uuid(tenant.as_uuid())]).await?.iter().map(external_id_of_row).collect()
    }
}

pub(crate) fn issuer_of_row(row: &Row) -> Result<IssuerRecord, CatalogError> {
    Ok(IssuerRecord {
        issuer: of_json(row.value("issuer")?)?,
        created_at: row.value("created_at")?,
        updated_at: row.value("updated_at")?,
    })
}

pub(crate) fn external_id_of_row(row: &Row) -> Result<ExternalIdRecord, CatalogError> {
    Ok(ExternalIdRecord {
        id: ExternalId { issuer: row.id("issuer_id")?, external: row.value("external_id")? },
        tenant: row.id("tenant_id")?,
        created_at: row.value("created_at")?,
    })
}

pub(crate) fn issuers_of_json(column: serde_json::Value) -> Result<Vec<Arc<Issuer>>, CatalogError> {
    let issuers: Vec<Arc<Issuer>> = json_list(column, "issuers")?
        .into_iter()
        .map(|value| of_json(value).map(Arc::new))
        .collect::<Result<_, _>>()?;
    Ok(issuers)
}

pub(crate) fn external_ids_of_json(column: serde_json::Value) -> Result<Vec<ExternalId>, CatalogError> {
    serde_json::from_value(column).map_err(|why| CatalogError::corrupt("external_ids", why))
}

fn json_list(column: serde_json::Value, name: &str) -> Result<Vec<serde_json::Value>, CatalogError> {
    serde_json::from_value(column).map_err(|why| CatalogError::corrupt(name, why))
}

fn of_json(value: serde_json::Value) -> Result<Issuer, CatalogError> {
    serde_json::from_value(value).map_err(|why| CatalogError::corrupt("issuer", why))
}
