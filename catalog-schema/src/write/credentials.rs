//! Credentials. Only what checks them is stored, never what opens anything.

use crate::error::CatalogError;
use crate::read::credentials::{CredentialDetail, credential_of_row};
use crate::read::routes::CredentialKind;
use crate::row::Columns;
use crate::sql::{bytes, millis, text, timestamp, uuid};
use crate::tx::Tx;
use jiff::Timestamp;
use serde_json::json;
use std::time::Duration;
use tenancy::{CredentialId, KeyScope, PoolMode, Role, TenantId, UserName};

/// A tenant's live credentials are part of its route, in every gateway's memory: there may not be
/// more than this.
pub const CREDENTIALS_LIVE_MAX: u32 = 64;

/// A credential to add.
#[derive(Debug, Clone)]
pub struct NewCredential {
    /// Its id.
    pub id: CredentialId,
    /// Whose.
    pub tenant: TenantId,
    /// What its holder may do.
    pub role: Role,
    /// From when on it opens nothing.
    pub expires_at: Option<Timestamp>,
    /// How long its clients keep a server connection, unless they say so themselves.
    pub pool_mode: Option<PoolMode>,
    /// How it is checked.
    pub kind: CredentialKind,
}

impl Tx {
    /// Adds a credential. A user may have several passwords at once, so that they can be rotated.
    ///
    /// # Errors
    /// [`CatalogError::LimitReached`], [`CatalogError::NotFound`] when there is no such living tenant,
    /// [`CatalogError::Conflict`] when an API key is known already, or when the catalog is unavailable.
    pub async fn credential_create(&mut self, new: &NewCredential) -> Result<CredentialDetail, CatalogError> {
        self.credential_add(new, None).await
    }

    /// Adds a credential that takes the place of another one of the tenant's, which is good for `keep` at most from now
    /// on. Returns both, the new one first.
    ///
    /// # Errors
    /// As for [`Tx::credential_create`]; [`CatalogError::NotFound`] when there is no such live credential, and
    /// [`CatalogError::Conflict`] or [`CatalogError::Refused`] when two are live already.
    pub async fn credential_replace(
        &mut self,
        old: CredentialId,
        new: &NewCredential,
        keep: Duration,
    ) -> Result<[CredentialDetail; 2], CatalogError> {
        let added = self.credential_add(new, Some(old)).await?;
        let sql = "update catalog.credentials
                     set expires_at = least(expires_at, now() + $3 * interval '1 millisecond')
                   where tenant_id = $1 and id = $2 and revoked_at is null
                     and (expires_at is null or expires_at > now()) returning *";
        let args = [uuid(new.tenant.as_uuid()), uuid(old.as_uuid()), millis(keep)];
        let row = self.row(sql, &args).await?.ok_or(CatalogError::NotFound { what: "credential" })?;
        let replaced = credential_of_row(&row)?;
        let slug = self.slug_of(new.tenant).await?;
        let detail = json!({ "credential": old, "replaced_by": new.id, "expires_at": replaced.expires_at });
        self.audit("credential.replace", Some(new.tenant), &slug, detail);
        Ok([added, replaced])
    }

    async fn credential_add(
        &mut self,
        new: &NewCredential,
        replaces: Option<CredentialId>,
    ) -> Result<CredentialDetail, CatalogError> {
        // The lock makes two who add at once take turns, or both would find room for one.
        let tenant = self.lock_living_tenant(new.tenant).await?;
        let live = "select count(*) as live from catalog.credentials
                    where tenant_id = $1 and revoked_at is null and (expires_at is null or expires_at > now())";
        let row = self.row(live, &[uuid(new.tenant.as_uuid())]).await?;
        let live: u32 = row.map_or(Ok(0), |row| row.number("live"))?;
        if live >= CREDENTIALS_LIVE_MAX {
            let what = "live credentials of this tenant";
            return Err(CatalogError::LimitReached { what, max: CREDENTIALS_LIVE_MAX });
        }
        let (kind, user, verifier, prefix, hash, scope) = match &new.kind {
            CredentialKind::Password { user, verifier } => {
                ("password", Some(user.as_str()), Some(verifier.as_str()), None, None, KeyScope::Data)
            }
            CredentialKind::ApiKey { prefix, hash, scope } => {
                ("api-key", None, None, Some(prefix.as_str()), Some(hash.as_slice()), *scope)
            }
        };
        let sql = "insert into catalog.credentials
                     (id, tenant_id, kind, user_name, verifier, key_prefix, key_hash, role, expires_at,
                      pool_mode, scope, replaces)
                   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) returning *";
        let args = [
            uuid(new.id.as_uuid()),
            uuid(new.tenant.as_uuid()),
            text(kind),
            text(user),
            text(verifier),
            text(prefix),
            bytes(hash),
            text(new.role.as_str()),
            timestamp(new.expires_at),
            text(new.pool_mode.map(PoolMode::as_str)),
            text(scope.as_str()),
            uuid(replaces.map(CredentialId::as_uuid)),
        ];
        let row = self.row(sql, &args).await?;
        let detail = json!({
            "credential": new.id, "kind": kind, "user": user, "key_prefix": prefix, "role": new.role,
            "expires_at": new.expires_at, "pool_mode": new.pool_mode, "scope": scope,
            "replaces": replaces,
        });
        self.audit("credential.create", Some(new.tenant), tenant.slug.as_str(), detail);
        credential_of_row(&row.ok_or(CatalogError::NotFound { what: "credential" })?)
    }

    /// The verifier of one of a user's live passwords, if there is any. Whoever adds another in the same
    /// transaction gives it the same salt: a login shows one salt before it knows which password comes.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when there is no such living tenant, or when the catalog is unavailable.
    pub async fn password_verifier(
        &mut self,
        tenant: TenantId,
        user: &UserName,
    ) -> Result<Option<String>, CatalogError> {
        // The lock makes two who add a user's first passwords at once take turns.
        self.lock_living_tenant(tenant).await?;
        let sql = "select verifier from catalog.credentials
                   where tenant_id = $1 and user_name = $2 and revoked_at is null
                     and (expires_at is null or expires_at > now())
                   order by id limit 1";
        let row = self.row(sql, &[uuid(tenant.as_uuid()), text(user.as_str())]).await?;
        row.map(|row| row.value("verifier")).transpose()
    }

    /// Revokes a credential; one that is revoked already stays so.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when the tenant has no such credential, or when the catalog is unavailable.
    pub async fn credential_revoke(
        &mut self,
        tenant: TenantId,
        id: CredentialId,
    ) -> Result<CredentialDetail, CatalogError> {
        let slug = self.slug_of(tenant).await?;
        let sql = "update catalog.credentials set revoked_at = coalesce(revoked_at, now())
                   where tenant_id = $1 and id = $2 returning *";
        let row = self.row(sql, &[uuid(tenant.as_uuid()), uuid(id.as_uuid())]).await?;
        let row = row.ok_or(CatalogError::NotFound { what: "credential" })?;
        self.audit("credential.revoke", Some(tenant), &slug, json!({ "credential": id }));
        credential_of_row(&row)
    }

    /// Removes all credentials of a tenant that is being purged, and says how many there were.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn credentials_delete(&mut self, tenant: TenantId) -> Result<u64, CatalogError> {
        let sql = "delete from catalog.credentials where tenant_id = $1";
        let removed = self.execute(sql, &[uuid(tenant.as_uuid())]).await?;
        if removed > 0 {
            let detail = json!({ "removed": removed });
            self.audit("credential.delete-all", Some(tenant), &tenant.to_string(), detail);
        }
        Ok(removed)
    }
}
