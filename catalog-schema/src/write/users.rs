//! Users: creation, change, and the end. Of a password only its hash comes here.

use crate::error::CatalogError;
use crate::read::users::{USER, UserIdentity, UserRecord, user_of_row};
use crate::row::Columns;
use crate::sql::{Arg, bigint, boolean, millis, text, uuid};
use crate::tx::Tx;
use serde_json::json;
use std::time::Duration;
use tenancy::{Email, Secret, TenantId, UserId};

/// Identities at providers that one user may have.
pub const USER_IDENTITIES_MAX: u32 = 16;

/// A user to create.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Their id.
    pub id: UserId,
    /// The name that they log in by.
    pub email: Email,
    /// The name for people.
    pub display_name: String,
    /// The hash of their password, as a PHC string, if they have one.
    pub password_hash: Option<Secret>,
    /// The tenant whose invite makes the account; none if the operator does.
    pub made_by_invite_of: Option<TenantId>,
}

/// What of a user is to change; unset stays.
#[derive(Debug, Clone, Default)]
pub struct UserPatch {
    /// Another name to log in by. Whoever sets it vouches for it.
    pub email: Option<Email>,
    /// Another name for people.
    pub display_name: Option<String>,
    /// The hash of another password. Whoever sets it also ends sessions that must not go on.
    pub password_hash: Option<Secret>,
    /// Whether nothing lets them in. Ends all their sessions.
    pub disabled: Option<bool>,
}

impl Tx {
    /// Adds a user.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`] when another has the address, or when the catalog is unavailable.
    pub async fn user_create(&mut self, new: &NewUser) -> Result<UserRecord, CatalogError> {
        let sql = "insert into catalog.users (id, email, display_name, password_hash, made_by_invite_of) values ($1, $2, $3, $4, $5)";
        let args = [
            uuid(new.id.as_uuid()),
            text(new.email.as_str()),
            text(new.display_name.as_str()),
            text(new.password_hash.as_ref().map(Secret::expose)),
            uuid(new.made_by_invite_of.map(TenantId::as_uuid)),
        ];
        self.execute(sql, &args).await?;
        let detail = json!({ "user": new.id, "password": new.password_hash.is_some(), "made_by_invite_of": new.made_by_invite_of });
        self.audit("user.create", None, new.email.as_str(), detail);
        self.user_read(new.id).await
    }

    /// Changes a user, if they still are at `expected_version`.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], [`CatalogError::StaleVersion`], [`CatalogError::Conflict`] when another has the
    /// address, [`CatalogError::Refused`] when a tenant would be left without an owner, or when the catalog is
    /// unavailable.
    pub async fn user_update(
        &mut self,
        id: UserId,
        expected_version: Option<i64>,
        patch: &UserPatch,
    ) -> Result<UserRecord, CatalogError> {
        if patch.disabled == Some(true) {
            self.lock_owned_tenants(id).await?;
        }
        let before = self.lock_user(id).await?;
        if expected_version.is_some_and(|expected| expected != before.version) {
            return Err(CatalogError::StaleVersion { current: before.version });
        }
        let sql =
            "update catalog.users set email = coalesce($2, email),
                     made_by_invite_of = case when $2 is null then made_by_invite_of end, display_name = coalesce($3, display_name),
                     password_hash = coalesce($4, password_hash),
                     disabled_at = case $5 when true then coalesce(disabled_at, now()) when false then null
                                   else disabled_at end
                   where id = $1";
        let args = [
            uuid(id.as_uuid()),
            text(patch.email.as_ref().map(Email::as_str)),
            text(patch.display_name.as_deref()),
            text(patch.password_hash.as_ref().map(Secret::expose)),
            patch.disabled.map_or(Arg::Boolean(None), boolean),
        ];
        self.execute(sql, &args).await?;
        let detail = json!({
            "user": id, "email": patch.email, "disabled": patch.disabled,
            "display_name_changed": patch.display_name.is_some(), "password_changed": patch.password_hash.is_some(),
        });
        self.audit("user.update", None, before.email.as_str(), detail);
        self.user_read(id).await
    }

    /// Removes a user, with their memberships and sessions.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], [`CatalogError::Refused`] when a tenant would be left without an owner, or when the
    /// catalog is unavailable.
    pub async fn user_delete(&mut self, id: UserId) -> Result<UserRecord, CatalogError> {
        self.lock_owned_tenants(id).await?;
        let before = self.lock_user(id).await?;
        self.execute("delete from catalog.users where id = $1", &[uuid(id.as_uuid())]).await?;
        self.audit("user.delete", None, before.email.as_str(), json!({ "user": id }));
        Ok(before)
    }

    /// Says who a user is at an identity provider.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], [`CatalogError::LimitReached`], [`CatalogError::Conflict`] when somebody is that
    /// already, or when the catalog is unavailable.
    pub async fn user_identity_add(
        &mut self,
        id: UserId,
        identity: &UserIdentity,
    ) -> Result<UserRecord, CatalogError> {
        let user = self.lock_user(id).await?;
        if user.identities.len() >= USER_IDENTITIES_MAX as usize {
            let what = "identities of this user";
            return Err(CatalogError::LimitReached { what, max: USER_IDENTITIES_MAX });
        }
        let sql = "insert into catalog.user_identities (issuer, subject, user_id) values ($1, $2, $3)";
        let args = [text(identity.issuer.as_str()), text(identity.subject.as_str()), uuid(id.as_uuid())];
        self.execute(sql, &args).await?;
        self.audit(
            "user.identity-add",
            None,
            user.email.as_str(),
            json!({ "user": id, "identity": identity }),
        );
        self.user_read(id).await
    }

    /// Takes an identity at a provider from a user; one that they do not have stays so.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when there is no such user, [`CatalogError::Refused`] when it is how a tenant's last owner
    /// signs in, or when the catalog is unavailable.
    pub async fn user_identity_remove(
        &mut self,
        id: UserId,
        identity: &UserIdentity,
    ) -> Result<UserRecord, CatalogError> {
        self.lock_owned_tenants(id).await?;
        let user = self.lock_user(id).await?;
        let sql = "delete from catalog.user_identities where issuer = $1 and subject = $2 and user_id = $3";
        let args = [text(identity.issuer.as_str()), text(identity.subject.as_str()), uuid(id.as_uuid())];
        if self.execute(sql, &args).await? > 0 {
            let detail = json!({ "user": id, "identity": identity });
            self.audit("user.identity-remove", None, user.email.as_str(), detail);
        }
        self.user_read(id).await
    }

    /// Removes accounts that invites have made and that belong nowhere, a bounded number of those that are older than
    /// `age`: an address that nobody has vouched for is not kept from whoever's it is. Says how many there were.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn users_forget(&mut self, age: Duration, limit: u32) -> Result<usize, CatalogError> {
        let lock = "select u.id from catalog.users u
                    where u.made_by_invite_of is not null and u.created_at < now() - $1 * interval '1 millisecond'
                      and not exists (select from catalog.memberships m where m.user_id = u.id)
                      and not exists (select from catalog.user_identities i where i.user_id = u.id)
                    order by u.id limit $2 for update of u skip locked";
        let locked = self.rows(lock, &[millis(age), bigint(i64::from(limit))]).await?;
        let mut forgotten = 0;
        for row in &locked {
            let id: UserId = row.id("id")?;
            // Looked at again under the lock, which nobody joins a tenant past.
            let sql = "delete from catalog.users u where u.id = $1
                         and not exists (select from catalog.memberships m where m.user_id = u.id) returning u.email";
            if let Some(row) = self.row(sql, &[uuid(id.as_uuid())]).await? {
                let email: String = row.value("email")?;
                self.audit("user.forget", None, &email, json!({ "user": id }));
                forgotten += 1;
            }
        }
        Ok(forgotten)
    }

    pub(crate) async fn user_read(&mut self, id: UserId) -> Result<UserRecord, CatalogError> {
        let row = self.row(&format!("{USER} where u.id = $1"), &[uuid(id.as_uuid())]).await?;
        user_of_row(&row.ok_or(CatalogError::NotFound { what: "user" })?)
    }

    /// Locks a user until the end of the transaction, and reads them. After the locks of tenants.
    pub(crate) async fn lock_user(&mut self, id: UserId) -> Result<UserRecord, CatalogError> {
        let sql = format!("{USER} where u.id = $1 for no key update of u");
        user_of_row(
            &self.row(&sql, &[uuid(id.as_uuid())]).await?.ok_or(CatalogError::NotFound { what: "user" })?,
        )
    }

    /// Tenants are locked before users: whoever gives a membership does so too.
    async fn lock_owned_tenants(&mut self, id: UserId) -> Result<(), CatalogError> {
        let sql = "select t.id from catalog.tenants t
                   where t.id in (select m.tenant_id from catalog.memberships m where m.user_id = $1 and m.role = 'owner')
                   order by t.id for no key update";
        self.rows(sql, &[uuid(id.as_uuid())]).await.map(drop)
    }

    /// Keeps a user who is given something in a tenant from being disabled or removed meanwhile. After the tenant's lock.
    pub(crate) async fn keep_user(&mut self, id: UserId) -> Result<String, CatalogError> {
        let sql = "select email from catalog.users where id = $1 for no key update";
        let row = self.row(sql, &[uuid(id.as_uuid())]).await?;
        row.ok_or(CatalogError::NotFound { what: "user" })?.value("email")
    }
}
