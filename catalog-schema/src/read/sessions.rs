//! Sessions: the times that people have signed in.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::page::Page;
use crate::read::roles::{ROLE_COLUMNS, ROLE_JOIN, role_of_row};
use crate::row::Columns;
use crate::sql::{bigint, bytes, uuid};
use jiff::Timestamp;
use tenancy::{Email, Permissions, SessionId, TenantId, UserId};
use tokio_postgres::Row;

/// A session without what shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Which.
    pub id: SessionId,
    /// Whose.
    pub user: UserId,
    /// Their address.
    pub email: Email,
    /// How they proved who they are.
    pub method: SessionMethod,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was used last, give or take a minute.
    pub last_used_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// When it was ended.
    pub revoked_at: Option<Timestamp>,
}

/// How somebody proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionMethod {
    /// By their password.
    Password,
    /// By an identity provider's token.
    Token,
    /// By an invite, which made their account.
    Invite,
}

impl SessionMethod {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Password, Self::Token, Self::Invite];

    /// The word used by the API and the catalog.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Token => "token",
            Self::Invite => "invite",
        }
    }
}

impl std::fmt::Display for SessionMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for SessionMethod {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|method| method.as_str() == text);
        found.ok_or_else(|| format!("\"{text}\" is no way to begin a session"))
    }
}

pub(crate) const SESSION: &str =
    "select s.*, u.email from catalog.sessions s join catalog.users u on u.id = s.user_id";

/// A session that lasts, and what its user may do to which tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionHolder {
    /// The session.
    pub session: SessionRecord,
    /// The tenants that the user belongs to.
    pub memberships: Vec<(TenantId, Permissions)>,
}

impl Catalog {
    /// Whoever shows a token with this SHA-256, for the control plane.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn session_holder(&self, hash: &[u8; 32]) -> Result<Option<SessionHolder>, CatalogError> {
        let Some(session) = self.session_by_token(hash).await? else { return Ok(None) };
        let sql = format!(
            "select h.tenant_id, {ROLE_COLUMNS} from catalog.memberships h {ROLE_JOIN} where h.user_id = $1"
        );
        let rows = self.rows(&sql, &[uuid(session.user.as_uuid())]).await?;
        let membership = |row: &Row| Ok((row.id("tenant_id")?, role_of_row(row)?.permissions()));
        let memberships = rows.iter().map(membership).collect::<Result<_, CatalogError>>()?;
        Ok(Some(SessionHolder { session, memberships }))
    }

    /// The session that a token with this SHA-256 shows, if it lasts and its user may come in.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn session_by_token(&self, hash: &[u8; 32]) -> Result<Option<SessionRecord>, CatalogError> {
        let sql = format!(
            "{SESSION} where s.token_hash = $1 and s.revoked_at is null and s.expires_at > now() and u.disabled_at is null"
        );
        let row = self.row(&sql, &[bytes(hash.as_slice())]).await?;
        row.as_ref().map(session_of_row).transpose()
    }

    /// One session, whether it lasts or not.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn session_get(&self, id: SessionId) -> Result<Option<SessionRecord>, CatalogError> {
        let row = self.row(&format!("{SESSION} where s.id = $1"), &[uuid(id.as_uuid())]).await?;
        row.as_ref().map(session_of_row).transpose()
    }

    /// A user's sessions that last, by age, a page at a time.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn sessions_of(
        &self,
        user: UserId,
        page: &Page<SessionId>,
    ) -> Result<Vec<SessionRecord>, CatalogError> {
        let sql = format!(
            "{SESSION} where s.user_id = $1 and s.revoked_at is null and s.expires_at > now()
               and ($2::uuid is null or s.id > $2) order by s.id limit $3"
        );
        let args = [uuid(user.as_uuid()), uuid(page.after.map(SessionId::as_uuid)), bigint(page.limit())];
        self.rows(&sql, &args).await?.iter().map(session_of_row).collect()
    }
}

pub(crate) fn session_of_row(row: &Row) -> Result<SessionRecord, CatalogError> {
    Ok(SessionRecord {
        id: row.id("id")?,
        user: row.id("user_id")?,
        email: row.word("email")?,
        method: row.word("method")?,
        created_at: row.value("created_at")?,
        last_used_at: row.value("last_used_at")?,
        expires_at: row.value("expires_at")?,
        revoked_at: row.value("revoked_at")?,
    })
}
