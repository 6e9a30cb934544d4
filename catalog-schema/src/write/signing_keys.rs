//! The control plane's own keys: a new one in time, and the old ones' end.

use crate::error::CatalogError;
use crate::read::signing_keys::{SIGNING_KEYS, SigningKeyRecord, signing_context, signing_key_of_row};
use crate::sql::{bytes, timestamp, uuid};
use crate::tx::Tx;
use jiff::Timestamp;
use serde_json::json;
use zeroize::Zeroizing;

/// A key to add.
pub struct NewSigningKey {
    /// Its public half, and its time.
    pub record: SigningKeyRecord,
    /// The key pair, as PKCS #8. Stored sealed.
    pub pkcs8: Zeroizing<Vec<u8>>,
}

impl Tx {
    /// The keys whose signatures are believed, in the order in which they sign. Nobody else changes them until the end
    /// of the transaction.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn signing_keys_lock(&mut self) -> Result<Vec<SigningKeyRecord>, CatalogError> {
        self.execute("lock table catalog.signing_keys in share row exclusive mode", &[]).await?;
        self.rows(SIGNING_KEYS, &[]).await?.iter().map(signing_key_of_row).collect()
    }

    /// Adds a key.
    ///
    /// # Errors
    /// When the catalog is unavailable, or the key cannot be sealed.
    pub async fn signing_key_add(&mut self, new: &NewSigningKey) -> Result<(), CatalogError> {
        let SigningKeyRecord { id, public_key, signs_from, signs_until, verifies_until } = new.record;
        let sealed = self.key.seal_bytes(&signing_context(id), &new.pkcs8)?;
        let sql = "insert into catalog.signing_keys
                     (id, public_key, private_key, signs_from, signs_until, verifies_until)
                   values ($1, $2, $3, $4, $5, $6)";
        let args = [
            uuid(id.as_uuid()),
            bytes(public_key.as_slice()),
            bytes(sealed.as_slice()),
            timestamp(signs_from),
            timestamp(signs_until),
            timestamp(verifies_until),
        ];
        self.execute(sql, &args).await?;
        let detail = json!({ "key": id, "signs_from": signs_from, "signs_until": signs_until });
        self.audit("signing-key.add", None, &id.to_string(), detail);
        Ok(())
    }

    /// Has all keys sign until `signs_until` at the latest, and what they signed believed until `verifies_until`.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn signing_keys_retire(
        &mut self,
        signs_until: Timestamp,
        verifies_until: Timestamp,
    ) -> Result<(), CatalogError> {
        let sql = "update catalog.signing_keys
                   set signs_from = least(signs_from, $1), signs_until = least(signs_until, $1),
                       verifies_until = least(verifies_until, $2)";
        self.execute(sql, &[timestamp(signs_until), timestamp(verifies_until)]).await?;
        let detail = json!({ "signs_until": signs_until, "verifies_until": verifies_until });
        self.audit("signing-key.retire", None, "all", detail);
        Ok(())
    }

    /// Forgets all keys: nothing that was signed so far is believed any more.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn signing_keys_forget(&mut self) -> Result<(), CatalogError> {
        let forgotten = self.execute("delete from catalog.signing_keys", &[]).await?;
        self.audit("signing-key.forget", None, "all", json!({ "forgotten": forgotten }));
        Ok(())
    }
}
