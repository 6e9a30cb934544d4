//! Whether what let somebody in still does, at the moment of a change. Whoever ends it meanwhile waits for the change or
//! is waited for, so that nothing is changed in the name of what has ended.

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
                     and (expires_at is null or expires_at > now()) for share";
        Ok(self.row(sql, &[uuid(key.as_uuid())]).await?.is_some())
    }

    /// Does this session last, and may its user come in? It does until the end of the transaction then. After the lock of
    /// the tenant that is changed.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn session_stands(&mut self, session: SessionId) -> Result<bool, CatalogError> {
        // Whoever disables a user ends their sessions: that one lock is enough.
        let sql = "select from catalog.sessions s join catalog.users u on u.id = s.user_id
                   where s.id = $1 and s.revoked_at is null and s.expires_at > now() and u.disabled_at is null
                   for share of s";
        Ok(self.row(sql, &[uuid(session.as_uuid())]).await?.is_some())
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
