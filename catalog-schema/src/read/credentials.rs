//! Credentials, as people see them: what exists, never what would open anything.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::page::Page;
use crate::row::Columns;
use crate::sql::{bigint, uuid};
use jiff::Timestamp;
use tenancy::{CredentialId, KeyScope, PoolMode, Role, TenantId, UserName};
use tokio_postgres::Row;

/// A credential without its verifier or hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialDetail {
    /// Which.
    pub id: CredentialId,
    /// Whose.
    pub tenant: TenantId,
    /// `password` or `api-key`.
    pub kind: String,
    /// The user, of a password.
    pub user: Option<UserName>,
    /// The first characters, of an API key.
    pub key_prefix: Option<String>,
    /// What its holder may do.
    pub role: Role,
    /// How long its clients keep a server connection, unless they say so themselves.
    pub pool_mode: Option<PoolMode>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it opens nothing.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// What an API key is good for.
    pub scope: KeyScope,
    /// The credential whose place it takes.
    pub replaces: Option<CredentialId>,
    /// When an API key was used last, give or take a minute.
    pub last_used_at: Option<Timestamp>,
}

impl Catalog {
    /// A tenant's credentials by age, revoked and expired ones too, a page at a time.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn credentials(
        &self,
        tenant: TenantId,
        page: &Page<CredentialId>,
    ) -> Result<Vec<CredentialDetail>, CatalogError> {
        let sql = "select * from catalog.credentials
                   where tenant_id = $1 and ($2::uuid is null or id > $2) order by id limit $3";
        let after = page.after.map(CredentialId::as_uuid);
        let rows = self.rows(sql, &[uuid(tenant.as_uuid()), uuid(after), bigint(page.limit())]).await?;
        rows.iter().map(credential_of_row).collect()
    }

    /// One credential of a tenant.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn credential_get(
        &self,
        tenant: TenantId,
        id: CredentialId,
    ) -> Result<Option<CredentialDetail>, CatalogError> {
        let sql = "select * from catalog.credentials where tenant_id = $1 and id = $2";
        let row = self.row(sql, &[uuid(tenant.as_uuid()), uuid(id.as_uuid())]).await?;
        row.as_ref().map(credential_of_row).transpose()
    }
}

pub(crate) fn credential_of_row(row: &Row) -> Result<CredentialDetail, CatalogError> {
    Ok(CredentialDetail {
        id: row.id("id")?,
        tenant: row.id("tenant_id")?,
        kind: row.value("kind")?,
        user: row.word_opt("user_name")?,
        key_prefix: row.value("key_prefix")?,
        role: row.word("role")?,
        pool_mode: row.word_opt("pool_mode")?,
        created_at: row.value("created_at")?,
        expires_at: row.value("expires_at")?,
        revoked_at: row.value("revoked_at")?,
        scope: row.word("scope")?,
        replaces: row.id_opt("replaces")?,
        last_used_at: row.value("last_used_at")?,
    })
}
