//! Invites: offers to join a tenant, made to one address each.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::page::Page;
use crate::read::roles::{ROLE_COLUMNS, ROLE_JOIN, role_of_row};
use crate::row::Columns;
use crate::sql::{bigint, bytes, uuid};
use jiff::Timestamp;
use tenancy::{Email, InviteId, MemberRole, TenantId, UserId};
use tokio_postgres::Row;

/// An invite without what accepts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteRecord {
    /// Which.
    pub id: InviteId,
    /// To which tenant.
    pub tenant: TenantId,
    /// Who may accept it.
    pub email: Email,
    /// What they will be there.
    pub role: MemberRole,
    /// Who made it, as in the audit record.
    pub invited_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on nobody can accept it.
    pub expires_at: Timestamp,
    /// When it was accepted.
    pub accepted_at: Option<Timestamp>,
    /// By whom.
    pub accepted_by: Option<UserId>,
    /// When it was withdrawn.
    pub revoked_at: Option<Timestamp>,
}

pub(crate) fn invite() -> String {
    format!(
        "select h.id, h.tenant_id, h.email, {ROLE_COLUMNS}, h.invited_by, h.created_at, h.expires_at, h.accepted_at,
           h.accepted_by, h.revoked_at
         from catalog.invites h {ROLE_JOIN}"
    )
}

impl Catalog {
    /// A tenant's invites by age, accepted, withdrawn and expired ones too, a page at a time.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn invites(
        &self,
        tenant: TenantId,
        page: &Page<InviteId>,
    ) -> Result<Vec<InviteRecord>, CatalogError> {
        let sql = format!(
            "{} where h.tenant_id = $1 and ($2::uuid is null or h.id > $2) order by h.id limit $3",
            invite()
        );
        let args = [uuid(tenant.as_uuid()), uuid(page.after.map(InviteId::as_uuid)), bigint(page.limit())];
        self.rows(&sql, &args).await?.iter().map(invite_of_row).collect()
    }

    /// The invite that a token with this SHA-256 accepts, if it still can be accepted.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn invite_by_token(&self, hash: &[u8; 32]) -> Result<Option<InviteRecord>, CatalogError> {
        let sql = format!(
            "{} where h.token_hash = $1 and h.accepted_at is null and h.revoked_at is null and h.expires_at > now()",
            invite()
        );
        let row = self.row(&sql, &[bytes(hash.as_slice())]).await?;
        row.as_ref().map(invite_of_row).transpose()
    }
}

pub(crate) fn invite_of_row(row: &Row) -> Result<InviteRecord, CatalogError> {
    Ok(InviteRecord {
        id: row.id("id")?,
        tenant: row.id("tenant_id")?,
        email: row.word("email")?,
        role: role_of_row(row)?,
        invited_by: row.value("invited_by")?,
        created_at: row.value("created_at")?,
        expires_at: row.value("expires_at")?,
        accepted_at: row.value("accepted_at")?,
        accepted_by: row.id_opt("accepted_by")?,
        revoked_at: row.value("revoked_at")?,
    })
}
