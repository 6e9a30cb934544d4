//! Domains of tenants' own.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::row::Columns;
use crate::sql::{bigint, millis, text, texts, uuid};
use jiff::Timestamp;
use std::collections::HashMap;
use std::time::Duration;
use tenancy::{DomainName, TenantId};
use tokio_postgres::Row;

/// A domain that a tenant has asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainRecord {
    /// Who has asked.
    pub tenant: TenantId,
    /// For what.
    pub domain: DomainName,
    /// What the TXT record has to hold that proves it. No secret: it stands in public name servers.
    pub challenge: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Since when it leads to the tenant; not yet, or no more, if there is none.
    pub verified_at: Option<Timestamp>,
    /// When its record was looked for last.
    pub checked_at: Option<Timestamp>,
    /// When its record was last there.
    pub found_at: Option<Timestamp>,
}

/// Which domains are somebody else's since some revision, or nobody's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangedDomains {
    /// These, each named once. Empty when nothing changed.
    These(Vec<DomainName>),
    /// Possibly all: too much happened, or too long ago.
    All,
}

impl Catalog {
    /// Whose the verified domains are: all of them, or those of `among` that are verified. One is one tenant's at most, and
    /// there are no more than [`crate::DOMAINS_VERIFIED_MAX`].
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn domain_owners(
        &self,
        among: &ChangedDomains,
    ) -> Result<HashMap<DomainName, TenantId>, CatalogError> {
        let sql = "select domain, tenant_id from catalog.custom_domains where verified_at is not null";
        let rows = match among {
            ChangedDomains::All => self.rows(sql, &[]).await?,
            ChangedDomains::These(some) if some.is_empty() => Vec::new(),
            ChangedDomains::These(some) => {
                let names: Vec<_> = some.iter().map(DomainName::as_str).collect();
                self.rows(&format!("{sql} and domain = any ($1)"), &[texts(&names)]).await?
            }
        };
        rows.iter().map(|row| Ok((row.word("domain")?, row.id("tenant_id")?))).collect()
    }

    /// A tenant's domains, by name. There are no more than [`crate::DOMAINS_MAX`].
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn domains(&self, tenant: TenantId) -> Result<Vec<DomainRecord>, CatalogError> {
        let sql = "select * from catalog.custom_domains where tenant_id = $1 order by domain";
        let rows = self.rows(sql, &[uuid(tenant.as_uuid())]).await?;
        rows.iter().map(domain_of_row).collect()
    }

    /// One domain of a tenant.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn domain_get(
        &self,
        tenant: TenantId,
        domain: &DomainName,
    ) -> Result<Option<DomainRecord>, CatalogError> {
        let sql = "select * from catalog.custom_domains where tenant_id = $1 and domain = $2";
        let row = self.row(sql, &[uuid(tenant.as_uuid()), text(domain.as_str())]).await?;
        row.as_ref().map(domain_of_row).transpose()
    }

    /// Verified domains whose record was not looked for within `every`, the longest ago first.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn domains_due(&self, every: Duration, limit: u32) -> Result<Vec<DomainRecord>, CatalogError> {
        let sql = "select * from catalog.custom_domains where verified_at is not null
                     and checked_at < now() - $1 * interval '1 millisecond'
                   order by checked_at limit $2";
        let rows = self.rows(sql, &[millis(every), bigint(i64::from(limit))]).await?;
        rows.iter().map(domain_of_row).collect()
    }
}

pub(crate) fn domain_of_row(row: &Row) -> Result<DomainRecord, CatalogError> {
    Ok(DomainRecord {
        tenant: row.id("tenant_id")?,
        domain: row.word("domain")?,
        challenge: row.value("challenge")?,
        created_at: row.value("created_at")?,
        verified_at: row.value("verified_at")?,
        checked_at: row.value("checked_at")?,
        found_at: row.value("found_at")?,
    })
}
