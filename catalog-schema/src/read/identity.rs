//! The identity document: what gateways know of the installation rather than of a tenant, to tell who is asking. It is
//! small, and read whole.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::read::issuers::{ISSUER_JSON, issuers_of_json};
use crate::read::services::{SERVICES_LIVE, ServiceRecord, service_record_of_row};
use crate::read::signing_keys::{SIGNING_KEYS_KNOWN, SigningKeyRecord, signing_key_of_row};
use crate::row::Columns;
use std::sync::Arc;
use tenancy::{Issuer, Revision};

/// What gateways know of the installation, all of one kind of one moment.
#[derive(Debug, Clone, Default)]
pub struct IdentityDocument {
    /// The revision at which any of it changed last; what it says is at least as new.
    pub version: Revision,
    /// Identity providers that may vouch for any tenant, by their names for themselves.
    pub issuers: Vec<Arc<Issuer>>,
    /// Programs that act for tenants which their requests name.
    pub services: Vec<ServiceRecord>,
    /// The public halves of the control plane's own keys, of those too whose signatures are believed no more.
    pub signing_keys: Vec<SigningKeyRecord>,
}

impl Catalog {
    /// The identity document.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn identity(&self) -> Result<IdentityDocument, CatalogError> {
        // The version first: what changes while the rest is read is read again for it.
        let sql = format!(
            "select v.value, (select coalesce(jsonb_agg({ISSUER_JSON} order by i.iss), '[]'::jsonb)
                              from catalog.issuers i where i.tenant_id is null) as issuers
             from catalog.identity_version v"
        );
        let row = self.row(&sql, &[]).await?;
        let row = row.ok_or_else(|| CatalogError::corrupt("identity_version", "its row is missing"))?;
        let keys = self.rows(SIGNING_KEYS_KNOWN, &[]).await?;
        let services = self.rows(SERVICES_LIVE, &[]).await?;
        Ok(IdentityDocument {
            version: Revision::new(row.value("value")?),
            issuers: issuers_of_json(row.value("issuers")?)?,
            services: services.iter().map(service_record_of_row).collect::<Result<_, _>>()?,
            signing_keys: keys.iter().map(signing_key_of_row).collect::<Result<_, _>>()?,
        })
    }
}
