//! Users: people, apart from what they are in which tenant.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::page::Page;
use crate::row::Columns;
use crate::sql::{bigint, text, uuid};
use jiff::Timestamp;
use tenancy::{Email, Secret, TenantId, UserId};
use tokio_postgres::Row;

/// A user without what would let anybody in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// Who.
    pub id: UserId,
    /// The name that they log in by.
    pub email: Email,
    /// The name for people.
    pub display_name: String,
    /// Whether a password lets them in.
    pub has_password: bool,
    /// Who they are at identity providers.
    pub identities: Vec<UserIdentity>,
    /// The tenant whose invite made the account, if one did: nobody has vouched for the address then.
    pub made_by_invite_of: Option<TenantId>,
    /// Since when nothing lets them in.
    pub disabled_at: Option<Timestamp>,
    /// Rises with every change.
    pub version: i64,
    /// When they were created.
    pub created_at: Timestamp,
    /// When they were changed last.
    pub updated_at: Timestamp,
}

/// Who a user is at an identity provider.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct UserIdentity {
    /// The provider, as its tokens' `iss` has it.
    pub issuer: String,
    /// The user, as its tokens' `sub` has it.
    pub subject: String,
}

/// What a password is checked against.
#[derive(Debug, Clone)]
pub struct UserLogin {
    /// Who.
    pub id: UserId,
    /// The hash, as a PHC string; none if no password lets them in.
    pub password_hash: Option<Secret>,
    /// Whether nothing lets them in.
    pub disabled: bool,
}

pub(crate) const USER: &str = "select u.*, u.password_hash is not null as has_password,
  (select coalesce(jsonb_agg(jsonb_build_object('issuer', i.issuer, 'subject', i.subject)
                             order by i.issuer, i.subject), '[]'::jsonb)
   from catalog.user_identities i where i.user_id = u.id) as identities
from catalog.users u";

impl Catalog {
    /// Users by age, a page at a time.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn users(&self, page: &Page<UserId>) -> Result<Vec<UserRecord>, CatalogError> {
        let sql = format!("{USER} where $1::uuid is null or u.id > $1 order by u.id limit $2");
        let after = page.after.map(UserId::as_uuid);
        self.rows(&sql, &[uuid(after), bigint(page.limit())]).await?.iter().map(user_of_row).collect()
    }

    /// One user.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn user_get(&self, id: UserId) -> Result<Option<UserRecord>, CatalogError> {
        let row = self.row(&format!("{USER} where u.id = $1"), &[uuid(id.as_uuid())]).await?;
        row.as_ref().map(user_of_row).transpose()
    }

    /// The user with this address.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn user_by_email(&self, email: &Email) -> Result<Option<UserRecord>, CatalogError> {
        let row = self.row(&format!("{USER} where u.email = $1"), &[text(email.as_str())]).await?;
        row.as_ref().map(user_of_row).transpose()
    }

    /// What the password of the user with this address is checked against.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn user_login(&self, email: &Email) -> Result<Option<UserLogin>, CatalogError> {
        let sql = "select id, password_hash, disabled_at is not null as disabled from catalog.users where email = $1";
        let row = self.row(sql, &[text(email.as_str())]).await?;
        row.map(|row| {
            Ok(UserLogin {
                id: row.id("id")?,
                password_hash: row.value::<Option<String>>("password_hash")?.map(Secret::new),
                disabled: row.value("disabled")?,
            })
        })
        .transpose()
    }

    /// The user whom an identity provider calls this, unless nothing lets them in.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn user_by_identity(&self, identity: &UserIdentity) -> Result<Option<UserId>, CatalogError> {
        let sql = "select u.id from catalog.user_identities i join catalog.users u on u.id = i.user_id
                   where i.issuer = $1 and i.subject = $2 and u.disabled_at is null";
        let args = [text(identity.issuer.as_str()), text(identity.subject.as_str())];
        self.row(sql, &args).await?.map(|row| row.id("id")).transpose()
    }
}

pub(crate) fn user_of_row(row: &Row) -> Result<UserRecord, CatalogError> {
    let identities: serde_json::Value = row.value("identities")?;
    Ok(UserRecord {
        id: row.id("id")?,
        email: row.word("email")?,
        display_name: row.value("display_name")?,
        has_password: row.value("has_password")?,
        identities: serde_json::from_value(identities)
            .map_err(|why| CatalogError::corrupt("identities", why))?,
        made_by_invite_of: row.id_opt("made_by_invite_of")?,
        disabled_at: row.value("disabled_at")?,
        version: row.value("version")?,
        created_at: row.value("created_at")?,
        updated_at: row.value("updated_at")?,
    })
}
