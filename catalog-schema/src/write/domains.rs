//! Domains of tenants' own: asked for, verified, lost.

use crate::error::CatalogError;
use crate::read::domains::{DomainRecord, domain_of_row};
use crate::row::Columns;
use crate::sql::{boolean, millis, text, uuid};
use crate::tx::Tx;
use serde_json::json;
use std::time::Duration;
use tenancy::{DomainName, TenantId};

/// A tenant may not have asked for more domains than this.
pub const DOMAINS_MAX: u32 = 32;

/// The verified domains of all tenants are in every gateway's memory, so there may not be more than this.
pub const DOMAINS_VERIFIED_MAX: u32 = 20_000;

impl Tx {
    /// Asks for a domain. It leads nowhere before it is verified; several tenants may ask for the same.
    ///
    /// # Errors
    /// [`CatalogError::LimitReached`], [`CatalogError::NotFound`] when there is no such living tenant,
    /// [`CatalogError::Conflict`] when it has asked for it already, or when the catalog is unavailable.
    pub async fn domain_create(
        &mut self,
        tenant: TenantId,
        domain: &DomainName,
        challenge: &str,
    ) -> Result<DomainRecord, CatalogError> {
        // The lock makes two who ask at once take turns, or both would find room for one.
        let slug = self.lock_living_tenant(tenant).await?.slug;
        let count = "select count(*) as count from catalog.custom_domains where tenant_id = $1";
        let row = self.row(count, &[uuid(tenant.as_uuid())]).await?;
        if row.map_or(Ok(0), |row| row.number::<u32>("count"))? >= DOMAINS_MAX {
            return Err(CatalogError::LimitReached { what: "domains of this tenant", max: DOMAINS_MAX });
        }
        let sql = "insert into catalog.custom_domains (tenant_id, domain, challenge) values ($1, $2, $3) returning *";
        let row = self.row(sql, &[uuid(tenant.as_uuid()), text(domain.as_str()), text(challenge)]).await?;
        self.audit("domain.create", Some(tenant), slug.as_str(), json!({ "domain": domain }));
        domain_of_row(&row.ok_or(CatalogError::NotFound { what: "custom domain" })?)
    }

    /// The domain's record was there: it leads to the tenant from now on, if it did not before.
    ///
    /// # Errors
    /// [`CatalogError::LimitReached`], [`CatalogError::Conflict`] when it is another tenant's, [`CatalogError::NotFound`], or when the catalog is
    /// unavailable.
    pub async fn domain_found(
        &mut self,
        tenant: TenantId,
        domain: &DomainName,
    ) -> Result<DomainRecord, CatalogError> {
        let slug = self.lock_living_tenant(tenant).await?.slug;
        let sql = "update catalog.custom_domains
                     set verified_at = coalesce(verified_at, now()), checked_at = now(), found_at = now(),
                       missed_since = null
                   where tenant_id = $1 and domain = $2 returning *, verified_at = now() as is_new";
        let row = self.row(sql, &[uuid(tenant.as_uuid()), text(domain.as_str())]).await?;
        let row = row.ok_or(CatalogError::NotFound { what: "custom domain" })?;
        if row.value("is_new")? {
            self.refuse_too_many_domains().await?;
            self.audit("domain.verify", Some(tenant), slug.as_str(), json!({ "domain": domain }));
        }
        domain_of_row(&row)
    }

    /// Two at once may find room for one: a bound that is exceeded by as many as verify at once is still a bound.
    async fn refuse_too_many_domains(&mut self) -> Result<(), CatalogError> {
        let count = "select count(*) as count from catalog.custom_domains where verified_at is not null";
        let row = self.row(count, &[]).await?;
        match row.map_or(Ok(0), |row| row.number::<u32>("count"))? > DOMAINS_VERIFIED_MAX {
            true => Err(CatalogError::LimitReached { what: "verified domains", max: DOMAINS_VERIFIED_MAX }),
            false => Ok(()),
        }
    }

    /// The domain's record could not be looked for, or was not there: `is_gone` then. It goes on leading to the tenant
    /// until the record has been gone for `grace`.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], or when the catalog is unavailable.
    pub async fn domain_missed(
        &mut self,
        tenant: TenantId,
        domain: &DomainName,
        is_gone: bool,
        grace: Duration,
    ) -> Result<DomainRecord, CatalogError> {
        let slug = self.slug_of(tenant).await?;
        let sql = "with before as (
                     select verified_at is not null as was_verified from catalog.custom_domains
                     where tenant_id = $1 and domain = $2)
                   update catalog.custom_domains d set checked_at = now(),
                     missed_since = case when $3 then coalesce(d.missed_since, now()) else d.missed_since end,
                     verified_at = case when $3 and coalesce(d.missed_since, now()) <= now() - $4 * interval '1 millisecond'
                                        then null else d.verified_at end
                   from before where d.tenant_id = $1 and d.domain = $2
                   returning d.*, before.was_verified and d.verified_at is null as is_lost";
        let args = [uuid(tenant.as_uuid()), text(domain.as_str()), boolean(is_gone), millis(grace)];
        let row = self.row(sql, &args).await?.ok_or(CatalogError::NotFound { what: "custom domain" })?;
        if row.value("is_lost")? {
            self.audit("domain.lose", Some(tenant), &slug, json!({ "domain": domain }));
        }
        domain_of_row(&row)
    }

    /// Takes a domain from a tenant.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], or when the catalog is unavailable.
    pub async fn domain_delete(
        &mut self,
        tenant: TenantId,
        domain: &DomainName,
    ) -> Result<DomainRecord, CatalogError> {
        let slug = self.slug_of(tenant).await?;
        let sql = "delete from catalog.custom_domains where tenant_id = $1 and domain = $2 returning *";
        let row = self.row(sql, &[uuid(tenant.as_uuid()), text(domain.as_str())]).await?;
        let row = row.ok_or(CatalogError::NotFound { what: "custom domain" })?;
        self.audit("domain.delete", Some(tenant), &slug, json!({ "domain": domain }));
        domain_of_row(&row)
    }
}
