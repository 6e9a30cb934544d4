//! Requests that may be sent twice. The key is taken in the transaction that does the work, so either
//! both are there or neither, and a second request with the same key waits for the first to end.

use crate::error::CatalogError;
use crate::read::idempotency::{StoredResponse, response_context};
use crate::row::Columns;
use crate::sql::{bigint, bytes, text};
use crate::tx::Tx;
use tenancy::Secret;

/// What is known of a key.
#[derive(Debug, Clone)]
pub enum Idempotency {
    /// Nothing: do the work, then [`Tx::idempotency_finish`] in the same transaction.
    Fresh,
    /// The work was done: give this answer again.
    Replay(StoredResponse),
    /// The key was used for another request.
    OtherRequest,
}

impl Tx {
    /// Takes `key` for this transaction's actor. `request_hash` is the SHA-256 of all that makes the
    /// request what it is. A transaction that takes a key and does not answer it cannot be committed.
    ///
    /// # Errors
    /// [`CatalogError::Busy`] when a request with this key is still being worked on, or when the
    /// catalog is unavailable, or the stored answer cannot be opened.
    pub async fn idempotency_begin(
        &mut self,
        key: &str,
        request_hash: &[u8; 32],
    ) -> Result<Idempotency, CatalogError> {
        let actor = self.context.actor.clone();
        let taken = "insert into catalog.idempotency_keys (actor, key, request_hash) values ($1, $2, $3)
                     on conflict do nothing";
        let args = [text(actor.as_str()), text(key), bytes(request_hash.as_slice())];
        if self.execute(taken, &args).await? == 1 {
            return Ok(Idempotency::Fresh);
        }
        let sql =
            "select request_hash, status, body from catalog.idempotency_keys where actor = $1 and key = $2";
        let row = self.row(sql, &[text(actor.as_str()), text(key)]).await?;
        // Pruned between the two statements.
        let Some(row) = row else { return Err(CatalogError::Busy) };
        if row.value::<Vec<u8>>("request_hash")? != request_hash {
            return Ok(Idempotency::OtherRequest);
        }
        let sealed: Vec<u8> = row.value("body")?;
        let body = self.key.open(&response_context(&actor, key), &sealed)?;
        Ok(Idempotency::Replay(StoredResponse { status: row.number("status")?, body }))
    }

    /// Stores the answer, to be given again. It is sealed: it may show a secret once.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when the key was not taken in this transaction, or when the catalog
    /// is unavailable.
    pub async fn idempotency_finish(
        &mut self,
        key: &str,
        response: &StoredResponse,
    ) -> Result<(), CatalogError> {
        let actor = self.context.actor.clone();
        let sealed = self.key.seal(&response_context(&actor, key), &response.body)?;
        let sql = "update catalog.idempotency_keys set status = $3::bigint, body = $4
                   where actor = $1 and key = $2 and status is null";
        let args =
            [text(actor.as_str()), text(key), bigint(i64::from(response.status)), bytes(sealed.as_slice())];
        match self.execute(sql, &args).await? {
            0 => Err(CatalogError::NotFound { what: "idempotency key" }),
            _ => Ok(()),
        }
    }
}

impl StoredResponse {
    /// An answer to store.
    #[must_use]
    pub fn new(status: u16, body: String) -> Self {
        Self { status, body: Secret::new(body) }
    }
}
