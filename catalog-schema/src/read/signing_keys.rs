//! The control plane's own keys, which sign gateway tokens. The private halves are opened for whoever signs, and for
//! nobody else.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::row::Columns;
use jiff::Timestamp;
use tenancy::SigningKeyId;
use tokio_postgres::Row;
use zeroize::Zeroizing;

/// The public half of a signing key, and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKeyRecord {
    /// Which; the tokens' `kid`.
    pub id: SigningKeyId,
    /// The Ed25519 public key (RFC 8032 §5.1.5).
    pub public_key: [u8; 32],
    /// From when on it signs. It is told before that, so that every gateway knows it by then.
    pub signs_from: Timestamp,
    /// Until when it signs.
    pub signs_until: Timestamp,
    /// Until when what it signed is believed.
    pub verifies_until: Timestamp,
}

/// What signs.
#[derive(Clone)]
pub struct SigningKey {
    /// Which.
    pub id: SigningKeyId,
    /// The key pair, as PKCS #8 (RFC 8410). Wiped when dropped.
    pub pkcs8: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.id)
    }
}

/// The context under which a private key is sealed.
pub(crate) fn signing_context(id: SigningKeyId) -> String {
    format!("signing-key:{id}")
}

pub(crate) const SIGNING_KEYS: &str = "select id, public_key, signs_from, signs_until, verifies_until
  from catalog.signing_keys where verifies_until > now() order by signs_from, id";

/// Those too whose signatures are believed no more: what they opened may last. One that was forgotten is not among
/// them, and takes what it opened with it.
pub(crate) const SIGNING_KEYS_KNOWN: &str = "select id, public_key, signs_from, signs_until, verifies_until
  from catalog.signing_keys order by signs_from, id";

impl Catalog {
    /// The public halves of all keys whose signatures are believed now or will be, in the order in which they sign.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKeyRecord>, CatalogError> {
        self.rows(SIGNING_KEYS, &[]).await?.iter().map(signing_key_of_row).collect()
    }

    /// The key that signs now, if there is any.
    ///
    /// # Errors
    /// When the catalog is unavailable, or the key cannot be opened.
    pub async fn signing_key(&self) -> Result<Option<SigningKey>, CatalogError> {
        let sql = "select id, private_key from catalog.signing_keys
                   where signs_from <= now() and signs_until > now() order by signs_from desc, id desc limit 1";
        let Some(row) = self.row(sql, &[]).await? else { return Ok(None) };
        let id = row.id("id")?;
        let sealed: Vec<u8> = row.value("private_key")?;
        Ok(Some(SigningKey { id, pkcs8: self.key().open_bytes(&signing_context(id), &sealed)? }))
    }
}

pub(crate) fn signing_key_of_row(row: &Row) -> Result<SigningKeyRecord, CatalogError> {
    let public: Vec<u8> = row.value("public_key")?;
    Ok(SigningKeyRecord {
        id: row.id("id")?,
        public_key: public
            .try_into()
            .map_err(|_| CatalogError::corrupt("public_key", "it is not 32 bytes"))?,
        signs_from: row.value("signs_from")?,
        signs_until: row.value("signs_until")?,
        verifies_until: row.value("verifies_until")?,
    })
}
