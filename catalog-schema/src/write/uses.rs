//! When keys were used last. Written without a transaction and without an audit row: a use changes nothing.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::sql::uuid;
use tenancy::CredentialId;

impl Catalog {
    /// Notes that a credential is used, if that was not noted within the last minute.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn credential_used(&self, id: CredentialId) -> Result<(), CatalogError> {
        let sql = "update catalog.credentials set last_used_at = now()
                   where id = $1 and (last_used_at is null or last_used_at < now() - interval '1 minute')";
        self.session().await?.execute(sql, &[uuid(id.as_uuid())]).await.map(drop)
    }
}
