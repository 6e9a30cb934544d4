//! Changes that are committed together, with the audit rows that tell of them.
//!
//! Audit rows are collected and written last, just before the commit: the chain admits one writer at
//! a time, and taking its lock last means that nobody who holds it waits for anything else. The
//! routing revision follows the same rule in the database (deferred triggers), so the order of locks
//! is always rows, audit chain, revision, and no two transactions can wait for each other over them.

use crate::error::CatalogError;
use crate::key::MasterKey;
use crate::session::Session;
use crate::sql::{Arg, bigint, text, uuid};
use crate::write::audit::Entry;
use crate::write::operations::Claim;
use std::ops::{Deref, DerefMut};
use tokio_postgres::Row;

/// Who changes something, and on behalf of which request. It stands in every audit row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Who: `operator`, `worker:<name>`, …. At most 200 bytes.
    pub actor: String,
    /// The request that led to it; the same in all that follows from it.
    pub request_id: String,
}

/// An open transaction. Dropped without [`Tx::commit`], it is rolled back.
pub struct Tx {
    /// Taken when the transaction ends.
    session: Option<Session>,
    pub(crate) key: MasterKey,
    pub(crate) context: Context,
    pub(crate) audit: Vec<Entry>,
    /// PostgreSQL answers COMMIT of a failed transaction with success and rolls back; this remembers
    /// that it failed.
    failed: bool,
}

impl Tx {
    pub(crate) async fn begin(
        session: Session,
        key: MasterKey,
        context: Context,
    ) -> Result<Self, CatalogError> {
        // Not what the server or the database has for a default: waiting for a lock and then seeing what its holder
        // has done is what the checks in here rely on.
        session.run("begin isolation level read committed").await?;
        Ok(Self { session: Some(session), key, context, audit: Vec::new(), failed: false })
    }

    /// Writes the audit rows and commits.
    ///
    /// # Errors
    /// When a statement of this transaction failed before, or a rule that is checked at the end is
    /// broken: nothing was changed then. When the connection is lost meanwhile, it may or may not
    /// have been committed.
    pub async fn commit(mut self) -> Result<(), CatalogError> {
        self.write_audit().await?;
        if self.failed {
            return Err(CatalogError::Database {
                code: "25P02".to_owned(),
                message: "a statement of the transaction failed, so it cannot be committed".to_owned(),
            });
        }
        match self.session.take() {
            Some(session) => session.run("commit").await,
            None => Err(CatalogError::unavailable("the transaction is over")),
        }
    }

    /// Gives up everything that was changed in it.
    ///
    /// # Errors
    /// When the catalog is unavailable; it rolls back by itself then.
    pub async fn rollback(mut self) -> Result<(), CatalogError> {
        match self.session.take() {
            Some(session) => session.run("rollback").await,
            None => Ok(()),
        }
    }

    pub(crate) async fn rows(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<Vec<Row>, CatalogError> {
        let answer = match &self.session {
            Some(session) => session.query(sql, args).await,
            None => Err(CatalogError::unavailable("the transaction is over")),
        };
        self.failed |= answer.is_err();
        answer
    }

    pub(crate) async fn row(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<Option<Row>, CatalogError> {
        Ok(self.rows(sql, args).await?.into_iter().next())
    }

    pub(crate) async fn execute(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<u64, CatalogError> {
        let answer = match &self.session {
            Some(session) => session.execute(sql, args).await,
            None => Err(CatalogError::unavailable("the transaction is over")),
        };
        self.failed |= answer.is_err();
        answer
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        let Some(session) = self.session.take().filter(|session| !session.is_lost()) else { return };
        match tokio::runtime::Handle::try_current() {
            // A failure is no news: the session is then marked lost, closed, and rolled back by that.
            Ok(runtime) => drop(runtime.spawn(async move { session.run("rollback").await })),
            Err(_) => session.give_up(),
        }
    }
}

/// A transaction of the worker that holds the claim on an operation. It does all that a [`Tx`] does,
/// and only it can record steps.
pub struct FencedTx {
    tx: Tx,
    pub(crate) claim: Claim,
}

impl FencedTx {
    /// Locks the operation's row, if the claim still stands: whoever would take it over skips locked rows.
    pub(crate) async fn new(mut tx: Tx, claim: Claim) -> Result<Self, CatalogError> {
        let held = tx
            .row(
                "select from catalog.operations
                 where id = $1 and fence = $2 and claimed_by = $3 and finished_at is null for update",
                &[uuid(claim.operation.as_uuid()), bigint(claim.fence), text(claim.worker.as_str())],
            )
            .await?;
        if held.is_none() {
            return Err(CatalogError::Fenced);
        }
        Ok(Self { tx, claim })
    }

    /// Like [`Tx::commit`].
    ///
    /// # Errors
    /// Like [`Tx::commit`].
    pub async fn commit(self) -> Result<(), CatalogError> {
        self.tx.commit().await
    }

    /// Like [`Tx::rollback`].
    ///
    /// # Errors
    /// Like [`Tx::rollback`].
    pub async fn rollback(self) -> Result<(), CatalogError> {
        self.tx.rollback().await
    }
}

impl Deref for FencedTx {
    type Target = Tx;
    fn deref(&self) -> &Tx {
        &self.tx
    }
}

impl DerefMut for FencedTx {
    fn deref_mut(&mut self) -> &mut Tx {
        &mut self.tx
    }
}
