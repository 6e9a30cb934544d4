//! Whether what let somebody in still does, at the moment of a change. Whoever ends it meanwhile waits for the change or
//! is waited for, so that nothing is changed in the name of what has ended.
//!
//! Everybody locks in one order: tenants by their ids, users, sessions, credentials. The locks are those of a change and
//! not shared ones: of two requests by one session the second waits, and so whoever ends the session gets their turn, however
//! many requests it makes.

use crate::error::CatalogError;
use crate::sql::{text, uuid};
use crate::tx::Tx;
use tenancy::{CredentialId, Secret, SessionId, UserId};

impl Tx {
    /// Does this API key still open anything? It does until the end of the transaction then. After the lock of its
    /// tenant.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn key_stands(&mut self, key: CredentialId) -> Result<bool, CatalogError> {
        let sql = "select from catalog.credentials where id = $1 and revoked_at is null
                     and (expires_at is null or expires_at > now()) for no key update";
        Ok(self.row(sql, &[uuid(key.as_uuid())]).await?.is_some())
    }

    /// Does this session of this user's last, and may they come in? It does until the end of the transaction then. After the
    /// lock of the tenant that is changed.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn session_stands(&mut self, user: UserId, session: SessionId) -> Result<bool, CatalogError> {
        let enabled = "select from catalog.users where id = $1 and disabled_at is null for no key update";
        if self.row(enabled, &[uuid(user.as_uuid())]).await?.is_none() {
            return Ok(false);
        }
        let lasts = "select from catalog.sessions where id = $1 and user_id = $2 and revoked_at is null
                       and expires_at > now() for no key update";
        Ok(self.row(lasts, &[uuid(session.as_uuid()), uuid(user.as_uuid())]).await?.is_some())
    }

    /// Is this still the hash of the user's password? It is until the end of the transaction then: who proved to know a
    /// password has proved nothing once there is another.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn password_stands(&mut self, user: UserId, hash: &Secret) -> Result<bool, CatalogError> {
        let sql = "select from catalog.users where id = $1 and password_hash = $2 for no key update";
        Ok(self.row(sql, &[uuid(user.as_uuid()), text(hash.expose())]).await?.is_some())
    }
}
