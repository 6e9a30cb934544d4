//! The handle that everything else hangs on.

use crate::error::CatalogError;
use crate::key::MasterKey;
use crate::pool::Pool;
use crate::session::Session;
use crate::sql::Arg;
use crate::tx::{Context, FencedTx, Tx};
use crate::way::Way;
use crate::write::operations::Claim;
use std::sync::Arc;
use tenancy::Secret;
use tokio_postgres::Row;

/// The catalog: connections and the key to its secrets. Clones share both.
///
/// Reads and transactions draw from a pool each. Who reads beside a transaction of its own would
/// otherwise hold one connection while it waits for another, and enough of them would wait for each other.
#[derive(Clone)]
pub struct Catalog {
    reads: Pool,
    transactions: Pool,
    key: MasterKey,
    listen: Arc<Way>,
}

impl Catalog {
    /// Prepares pools of at most `size` connections, one for reads and one for transactions. Connects lazily, so this works while the catalog
    /// is down; what is asked then fails with [`CatalogError::Unavailable`] within seconds.
    ///
    /// # Errors
    /// When the connection string, or the file that it names, is of no use.
    #[expect(clippy::unused_async, reason = "the pool needs a runtime, which an async function proves")]
    pub async fn connect(dsn: &Secret, key: MasterKey, size: u32) -> Result<Self, CatalogError> {
        let way = Way::read(dsn, "catalog")?;
        let reads = Pool::new(way.clone(), size);
        let transactions = Pool::new(way, size);
        let listen = Arc::new(Way::read(dsn, "listen")?);
        Ok(Self { reads, transactions, key, listen })
    }

    /// The key that seals the catalog's secrets.
    #[must_use]
    pub fn key(&self) -> &MasterKey {
        &self.key
    }

    /// Begins a transaction. What is changed in it is on record as done by `context`.
    ///
    /// Nothing slow may happen between two of its calls: it holds locks, and the server cuts it off
    /// when it is left alone for 15 seconds.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn begin(&self, context: &Context) -> Result<Tx, CatalogError> {
        Tx::begin(self.transactions.session().await?, self.key.clone(), context.clone()).await
    }

    /// Begins a transaction for a step of a claimed operation. While it lasts nobody can take the
    /// claim over.
    ///
    /// # Errors
    /// [`CatalogError::Fenced`] when the claim was lost, or when the catalog is unavailable.
    pub async fn begin_fenced(&self, context: &Context, claim: &Claim) -> Result<FencedTx, CatalogError> {
        FencedTx::new(self.begin(context).await?, claim.clone()).await
    }

    pub(crate) fn listen_way(&self) -> &Way {
        &self.listen
    }

    pub(crate) async fn session(&self) -> Result<Session, CatalogError> {
        self.reads.session().await
    }

    /// Reads rows. A connection that turns out to have died while it lay in the pool costs a second
    /// attempt, not an error: reading twice harms nobody.
    pub(crate) async fn rows(&self, sql: &str, args: &[Arg<'_>]) -> Result<Vec<Row>, CatalogError> {
        let session = self.reads.session().await?;
        match session.query(sql, args).await {
            Err(CatalogError::Unavailable { .. }) if session.is_lost() => {
                drop(session);
                self.reads.session().await?.query(sql, args).await
            }
            answer => answer,
        }
    }

    /// Reads at most one row by a statement that is prepared once on each connection.
    pub(crate) async fn row_prepared(
        &self,
        sql: &'static str,
        args: &[Arg<'_>],
    ) -> Result<Option<Row>, CatalogError> {
        let session = self.reads.session().await?;
        let rows = match session.query_prepared(sql, args).await {
            Err(CatalogError::Unavailable { .. }) if session.is_lost() => {
                drop(session);
                self.reads.session().await?.query_prepared(sql, args).await
            }
            answer => answer,
        };
        Ok(rows?.into_iter().next())
    }

    /// Reads at most one row.
    pub(crate) async fn row(&self, sql: &str, args: &[Arg<'_>]) -> Result<Option<Row>, CatalogError> {
        Ok(self.rows(sql, args).await?.into_iter().next())
    }
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Catalog")
    }
}
