//! The audit chain: what was done, by whom, and the proof that nobody has edited the record.
//!
//! Each row holds the SHA-256 of the row before it and its own over both. Changing or removing a row
//! breaks the chain there. Cutting off its end does not: whoever wants that noticed keeps the head
//! that [`Catalog::audit_verify`] returns in another place and compares.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::page::Page;
use crate::row::Columns;
use crate::sql::{bigint, text, uuid};
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tenancy::TenantId;
use tokio_postgres::Row;

/// One audit row.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRecord {
    /// Its place in the chain, from 1, without gaps.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub actor: String,
    /// What was done, such as `tenant.create`.
    pub action: String,
    /// To which tenant.
    pub tenant: Option<TenantId>,
    /// To what, such as a slug or an id.
    pub target: String,
    /// The request that led to it.
    pub request_id: String,
    /// More about it. Never a secret.
    pub detail: Value,
}

/// Which audit rows are wanted: those that fit all that is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    /// About this tenant.
    pub tenant: Option<TenantId>,
    /// By this actor.
    pub actor: Option<String>,
    /// Of this action.
    pub action: Option<String>,
}

/// The newest row of a chain that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditHead {
    /// Its place, which is also the number of rows; 0 when there are none.
    pub seq: i64,
    /// Its hash.
    pub hash: Vec<u8>,
}

/// Rows that are checked at a time.
const VERIFY_PAGE: i64 = 1_000;

/// What the first row has in place of a predecessor's hash.
const GENESIS: [u8; 32] = [0; 32];

impl Catalog {
    /// Audit rows, the oldest first, a page at a time.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        page: &Page<i64>,
    ) -> Result<Vec<AuditRecord>, CatalogError> {
        let sql = "select * from catalog.audit where ($1::bigint is null or seq > $1)
                     and ($2::uuid is null or tenant_id = $2) and ($3::text is null or actor = $3)
                     and ($4::text is null or action = $4) order by seq limit $5";
        let args = [
            bigint(page.after),
            uuid(filter.tenant.map(TenantId::as_uuid)),
            text(filter.actor.as_deref()),
            text(filter.action.as_deref()),
            bigint(page.limit()),
        ];
        self.rows(sql, &args).await?.iter().map(audit_of_row).collect()
    }

    /// Reads the whole chain and checks each link. The hashing is done here, not by the database
    /// that is being checked.
    ///
    /// # Errors
    /// [`CatalogError::AuditBroken`] with the first row that does not fit, or when the catalog is
    /// unavailable.
    pub async fn audit_verify(&self) -> Result<AuditHead, CatalogError> {
        let sql = "select seq, prev_hash, hash, catalog.audit_text(a) as text
                   from catalog.audit a where seq > $1 order by seq limit $2";
        let mut head = AuditHead { seq: 0, hash: GENESIS.to_vec() };
        loop {
            let rows = self.rows(sql, &[bigint(head.seq), bigint(VERIFY_PAGE)]).await?;
            if rows.is_empty() {
                return Ok(head);
            }
            for row in &rows {
                head = next_head(&head, row)?;
            }
        }
    }
}

fn next_head(head: &AuditHead, row: &Row) -> Result<AuditHead, CatalogError> {
    let seq: i64 = row.value("seq")?;
    let broken = |reason| CatalogError::AuditBroken { seq, reason };
    if seq != head.seq + 1 {
        return Err(broken("rows before it are missing"));
    }
    if row.value::<Vec<u8>>("prev_hash")? != head.hash {
        return Err(broken("it does not follow the row before it"));
    }
    let text: String = row.value("text")?;
    let expected = Sha256::new().chain_update(&head.hash).chain_update(text).finalize();
    let hash: Vec<u8> = row.value("hash")?;
    if hash != expected.as_slice() {
        return Err(broken("its content was changed"));
    }
    Ok(AuditHead { seq, hash })
}

fn audit_of_row(row: &Row) -> Result<AuditRecord, CatalogError> {
    Ok(AuditRecord {
        seq: row.value("seq")?,
        at: row.value("at")?,
        actor: row.value("actor")?,
        action: row.value("action")?,
        tenant: row.id_opt("tenant_id")?,
        target: row.value("target")?,
        request_id: row.value("request_id")?,
        detail: row.value("detail")?,
    })
}
