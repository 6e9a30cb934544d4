//! Identity providers, and their own names for tenants.

use crate::error::CatalogError;
use crate::read::issuers::{
    ExternalId, ExternalIdRecord, IssuerRecord, external_id_of_row, issuer_columns, issuer_of_row,
};
use crate::row::Columns;
use crate::sql::{Arg, bigint, json, text, texts, uuid};
use crate::tx::Tx;
use serde_json::{Value, json};
use tenancy::{ClaimPath, Issuer, IssuerId, Role, TenantId};

/// The installation's issuers are in every gateway's memory, and looked through for each token.
pub const ISSUERS_MAX: u32 = 1_000;

/// A tenant's own issuers are part of its route.
pub const TENANT_ISSUERS_MAX: u32 = 8;

/// All that is on record of them together, in bytes: a few chains of authorities.
pub const TENANT_ISSUERS_BYTES_MAX: u32 = 64 * 1024;

/// So are its issuers' names for it.
pub const EXTERNAL_IDS_MAX: u32 = 32;

impl Tx {
    /// Registers an issuer. Its version is not looked at.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`] when there is one of this name for the same tenant, or for the installation;
    /// [`CatalogError::LimitReached`]; [`CatalogError::NotFound`] when there is no such living tenant; or when the
    /// catalog is unavailable.
    pub async fn issuer_create(&mut self, new: &Issuer) -> Result<IssuerRecord, CatalogError> {
        self.room_for_issuer(new.tenant).await?;
        let sql = format!(
            "with i as (insert into catalog.issuers
               (id, tenant_id, iss, audiences, algorithms, jwks_url, jwks_ca, leeway_s, shape, tenant_claim, role_claim,
                user_claim, tenant_form, roles, default_role)
             values ($1, $2, $3, $4, $5, $6, $7, $8::bigint, $9, $10, $11, $12, $13, $14, $15) returning *)
             select {} from i",
            issuer_columns()
        );
        let roles = json!(new.roles);
        let algorithms: Vec<&str> = new.algorithms.iter().map(|algorithm| algorithm.as_str()).collect();
        let mut args =
            vec![uuid(new.id.as_uuid()), uuid(new.tenant.map(TenantId::as_uuid)), text(new.iss.as_str())];
        args.extend(settings(new, &algorithms, &roles));
        let row = self.row(&sql, &args).await?.ok_or(CatalogError::NotFound { what: "issuer" })?;
        let record = issuer_of_row(&row)?;
        self.refuse_too_large(new.tenant).await?;
        self.issuer_audit("issuer.create", &record.issuer);
        Ok(record)
    }

    /// An issuer that nobody else changes before this transaction ends, if it is the installation's, or this tenant's.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`]; [`CatalogError::StaleVersion`] when it is not at `expected_version`; or when the
    /// catalog is unavailable.
    pub async fn issuer_lock(
        &mut self,
        tenant: Option<TenantId>,
        id: IssuerId,
        expected_version: Option<i64>,
    ) -> Result<Issuer, CatalogError> {
        let sql = format!(
            "select {} from catalog.issuers i
             where i.tenant_id is not distinct from $1 and i.id = $2 for no key update",
            issuer_columns()
        );
        let args = [uuid(tenant.map(TenantId::as_uuid)), uuid(id.as_uuid())];
        let row = self.row(&sql, &args).await?.ok_or(CatalogError::NotFound { what: "issuer" })?;
        let issuer = issuer_of_row(&row)?.issuer;
        let current = issuer.version;
        if expected_version.is_some_and(|expected| expected != current) {
            return Err(CatalogError::StaleVersion { current });
        }
        Ok(issuer)
    }

    /// Changes an issuer to what it is to be. Whose it is, and its name for itself, stay.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], [`CatalogError::LimitReached`], or when the catalog is unavailable.
    pub async fn issuer_update(&mut self, issuer: &Issuer) -> Result<IssuerRecord, CatalogError> {
        let sql = format!(
            "with i as (update catalog.issuers set
               audiences = $2, algorithms = $3, jwks_url = $4, jwks_ca = $5, leeway_s = $6::bigint, shape = $7,
               tenant_claim = $8, role_claim = $9, user_claim = $10, tenant_form = $11, roles = $12, default_role = $13
             where id = $1 returning *)
             select {} from i",
            issuer_columns()
        );
        let roles = json!(issuer.roles);
        let algorithms: Vec<&str> = issuer.algorithms.iter().map(|algorithm| algorithm.as_str()).collect();
        let mut args = vec![uuid(issuer.id.as_uuid())];
        args.extend(settings(issuer, &algorithms, &roles));
        let row = self.row(&sql, &args).await?.ok_or(CatalogError::NotFound { what: "issuer" })?;
        let record = issuer_of_row(&row)?;
        self.refuse_too_large(issuer.tenant).await?;
        self.issuer_audit("issuer.update", &record.issuer);
        Ok(record)
    }

    /// Removes an issuer, and what it calls tenants.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], or when the catalog is unavailable.
    pub async fn issuer_delete(
        &mut self,
        tenant: Option<TenantId>,
        id: IssuerId,
    ) -> Result<IssuerRecord, CatalogError> {
        let sql = format!(
            "with i as (delete from catalog.issuers d
                        where d.tenant_id is not distinct from $1 and d.id = $2 returning *)
             select {} from i",
            issuer_columns()
        );
        let args = [uuid(tenant.map(TenantId::as_uuid)), uuid(id.as_uuid())];
        let row = self.row(&sql, &args).await?.ok_or(CatalogError::NotFound { what: "issuer" })?;
        let record = issuer_of_row(&row)?;
        let detail = json!({ "issuer": id, "iss": record.issuer.iss });
        self.audit("issuer.delete", tenant, &id.to_string(), detail);
        Ok(record)
    }

    /// Ties an issuer's own name for a tenant to the tenant. Doing so again changes nothing.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`] when the name stands for another tenant; [`CatalogError::LimitReached`];
    /// [`CatalogError::NotFound`] when there is no such living tenant or no issuer that may vouch for it; or when the
    /// catalog is unavailable.
    pub async fn external_id_set(
        &mut self,
        tenant: TenantId,
        id: &ExternalId,
    ) -> Result<ExternalIdRecord, CatalogError> {
        let slug = self.lock_living_tenant(tenant).await?.slug;
        let may = "select from catalog.issuers where id = $1 and (tenant_id is null or tenant_id = $2)";
        if self.row(may, &[uuid(id.issuer.as_uuid()), uuid(tenant.as_uuid())]).await?.is_none() {
            return Err(CatalogError::NotFound { what: "issuer" });
        }
        let known =
            "select * from catalog.external_ids where tenant_id = $1 and issuer_id = $2 and external_id = $3";
        let args = [uuid(tenant.as_uuid()), uuid(id.issuer.as_uuid()), text(id.external.as_str())];
        if let Some(row) = self.row(known, &args).await? {
            return external_id_of_row(&row);
        }
        let count = "select count(*) as count from catalog.external_ids where tenant_id = $1";
        self.below(count, tenant, "external ids of this tenant", EXTERNAL_IDS_MAX).await?;
        let sql = "insert into catalog.external_ids (tenant_id, issuer_id, external_id) values ($1, $2, $3) returning *";
        let row = self.row(sql, &args).await?.ok_or(CatalogError::NotFound { what: "external id" })?;
        let detail = json!({ "issuer": id.issuer, "external_id": id.external });
        self.audit("external-id.set", Some(tenant), slug.as_str(), detail);
        external_id_of_row(&row)
    }

    /// Unties an issuer's own name for a tenant.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], or when the catalog is unavailable.
    pub async fn external_id_remove(
        &mut self,
        tenant: TenantId,
        id: &ExternalId,
    ) -> Result<ExternalIdRecord, CatalogError> {
        let slug = self.slug_of(tenant).await?;
        let sql = "delete from catalog.external_ids
                   where tenant_id = $1 and issuer_id = $2 and external_id = $3 returning *";
        let args = [uuid(tenant.as_uuid()), uuid(id.issuer.as_uuid()), text(id.external.as_str())];
        let row = self.row(sql, &args).await?.ok_or(CatalogError::NotFound { what: "external id" })?;
        let detail = json!({ "issuer": id.issuer, "external_id": id.external });
        self.audit("external-id.remove", Some(tenant), &slug, detail);
        external_id_of_row(&row)
    }

    /// Removes a tenant's own issuers, and all issuers' names for it, when it is purged.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn tenant_issuers_delete(&mut self, tenant: TenantId) -> Result<u64, CatalogError> {
        let args = [uuid(tenant.as_uuid())];
        let names = self.execute("delete from catalog.external_ids where tenant_id = $1", &args).await?;
        let issuers = self.execute("delete from catalog.issuers where tenant_id = $1", &args).await?;
        if names + issuers > 0 {
            let detail = json!({ "issuers": issuers, "external_ids": names });
            self.audit("issuer.delete-all", Some(tenant), &tenant.to_string(), detail);
        }
        Ok(names + issuers)
    }

    async fn room_for_issuer(&mut self, tenant: Option<TenantId>) -> Result<(), CatalogError> {
        match tenant {
            Some(tenant) => {
                // The lock makes two who add at once take turns.
                self.lock_living_tenant(tenant).await?;
                let count = "select count(*) as count from catalog.issuers where tenant_id = $1";
                self.below(count, tenant, "issuers of this tenant", TENANT_ISSUERS_MAX).await
            }
            None => {
                // Two who add at once may both find room for one: a bound on memory may be passed by that.
                let count = "select count(*) as count from catalog.issuers where tenant_id is null";
                let row = self.row(count, &[]).await?;
                room(row.map_or(Ok(0), |row| row.number("count"))?, "issuers", ISSUERS_MAX)
            }
        }
    }

    /// Everybody's route is in every gateway's memory: a tenant's issuers may not make one much larger than others.
    async fn refuse_too_large(&mut self, tenant: Option<TenantId>) -> Result<(), CatalogError> {
        let Some(tenant) = tenant else { return Ok(()) };
        let sql = "select coalesce(sum(octet_length(to_jsonb(i)::text)), 0)::bigint as bytes
                   from catalog.issuers i where i.tenant_id = $1";
        let row = self.row(sql, &[uuid(tenant.as_uuid())]).await?;
        match row.map_or(Ok(0), |row| row.value::<i64>("bytes"))? > i64::from(TENANT_ISSUERS_BYTES_MAX) {
            true => Err(CatalogError::LimitReached {
                what: "bytes of this tenant's issuers",
                max: TENANT_ISSUERS_BYTES_MAX,
            }),
            false => Ok(()),
        }
    }

    async fn below(
        &mut self,
        count: &str,
        tenant: TenantId,
        what: &'static str,
        max: u32,
    ) -> Result<(), CatalogError> {
        let row = self.row(count, &[uuid(tenant.as_uuid())]).await?;
        room(row.map_or(Ok(0), |row| row.number("count"))?, what, max)
    }

    fn issuer_audit(&mut self, action: &str, issuer: &Issuer) {
        let detail = json!({
            "issuer": issuer.id, "iss": issuer.iss, "audiences": issuer.audiences, "algorithms": issuer.algorithms,
            "jwks_url": issuer.jwks_url, "jwks_ca": issuer.jwks_ca.is_some(), "leeway_s": issuer.leeway_s,
            "shape": issuer.shape, "tenant_claim": issuer.tenant_claim, "role_claim": issuer.role_claim,
            "user_claim": issuer.user_claim, "tenant_form": issuer.tenant_form, "roles": issuer.roles,
            "default_role": issuer.default_role,
        });
        self.audit(action, issuer.tenant, &issuer.id.to_string(), detail);
    }
}

fn room(count: u32, what: &'static str, max: u32) -> Result<(), CatalogError> {
    if count < max { Ok(()) } else { Err(CatalogError::LimitReached { what, max }) }
}

/// What can be changed of an issuer, in the order in which both statements take it.
fn settings<'a>(issuer: &'a Issuer, algorithms: &'a [&'a str], roles: &'a Value) -> [Arg<'a>; 12] {
    [
        texts(&issuer.audiences),
        texts(algorithms),
        text(issuer.jwks_url.as_str()),
        text(issuer.jwks_ca.as_deref()),
        bigint(i64::from(issuer.leeway_s)),
        text(issuer.shape.as_str()),
        text(issuer.tenant_claim.as_ref().map(ClaimPath::as_str)),
        text(issuer.role_claim.as_ref().map(ClaimPath::as_str)),
        text(issuer.user_claim.as_ref().map(ClaimPath::as_str)),
        text(issuer.tenant_form.as_str()),
        json(roles),
        text(issuer.default_role.map(Role::as_str)),
    ]
}
