//! Who holds a token, for the control plane. Gateways read the same credentials as part of routes.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::row::Columns;
use crate::sql::bytes;
use jiff::Timestamp;
use tenancy::{CredentialId, KeyScope, Role, TenantId};

/// The holder of a live API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyHolder {
    /// Which key.
    pub credential: CredentialId,
    /// Whose.
    pub tenant: TenantId,
    /// The key's first characters.
    pub prefix: String,
    /// What the key lets its holder do.
    pub role: Role,
    /// What the key is good for.
    pub scope: KeyScope,
    /// When it was used last, give or take a minute.
    pub last_used_at: Option<Timestamp>,
}

impl Catalog {
    /// Whoever holds the API key of this SHA-256, unless it is unknown, revoked, expired, or of a tenant that is gone.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn key_holder(&self, hash: &[u8; 32]) -> Result<Option<KeyHolder>, CatalogError> {
        let sql = "select c.id, c.tenant_id, c.key_prefix, c.role,
                     c.scope, c.last_used_at
                   from catalog.credentials c join catalog.tenants t on t.id = c.tenant_id
                   where c.key_hash = $1 and c.revoked_at is null
                     and (c.expires_at is null or c.expires_at > now()) and t.state <> 'deleted'";
        let Some(row) = self.row(sql, &[bytes(hash.as_slice())]).await? else { return Ok(None) };
        Ok(Some(KeyHolder {
            credential: row.id("id")?,
            tenant: row.id("tenant_id")?,
            prefix: row.value("key_prefix")?,
            role: row.word("role")?,
            scope: row.word("scope")?,
            last_used_at: row.value("last_used_at")?,
        }))
    }
}
