//! One checked-out connection and its statements, each with a bound on its time.

use crate::error::CatalogError;
use crate::pool::{Link, Manager};
use crate::sql::{Arg, typed};
use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;
use tokio_postgres::types::Type;
use tokio_postgres::{Row, Statement};

/// The server gives up sooner (`statement_timeout`); past this it is not answering at all.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);

pub(crate) struct Session {
    link: bb8::PooledConnection<'static, Manager>,
}

impl Session {
    pub(crate) fn new(link: bb8::PooledConnection<'static, Manager>) -> Self {
        Self { link }
    }

    /// Runs one statement and returns its rows.
    pub(crate) async fn query(&self, sql: &str, args: &[Arg<'_>]) -> Result<Vec<Row>, CatalogError> {
        self.bounded(self.link.client.query_typed(sql, &typed(args))).await
    }

    /// The same for a statement that is much to plan: it is prepared once on each connection. Should the server not
    /// have it any more as it was, it is asked without.
    pub(crate) async fn query_prepared(
        &self,
        sql: &'static str,
        args: &[Arg<'_>],
    ) -> Result<Vec<Row>, CatalogError> {
        let (values, types): (Vec<_>, Vec<_>) = typed(args).into_iter().unzip();
        let statement = self.prepared(sql, &types).await?;
        match self.bounded(self.link.client.query(&statement, &values)).await {
            Err(_) if !self.is_lost() => {
                self.statements().remove(sql);
                self.query(sql, args).await
            }
            answer => answer,
        }
    }

    async fn prepared(&self, sql: &'static str, types: &[Type]) -> Result<Statement, CatalogError> {
        let known = self.statements().get(sql).cloned();
        match known {
            Some(statement) => Ok(statement),
            None => {
                let fresh = self.bounded(self.link.client.prepare_typed(sql, types)).await?;
                self.statements().insert(sql, fresh.clone());
                Ok(fresh)
            }
        }
    }

    fn statements(&self) -> MutexGuard<'_, HashMap<&'static str, Statement>> {
        self.link.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one statement and returns how many rows it touched.
    pub(crate) async fn execute(&self, sql: &str, args: &[Arg<'_>]) -> Result<u64, CatalogError> {
        self.bounded(self.link.client.execute_typed(sql, &typed(args))).await
    }

    /// Runs statements without parameters.
    pub(crate) async fn run(&self, sql: &str) -> Result<(), CatalogError> {
        self.bounded(self.link.client.batch_execute(sql)).await
    }

    /// Was the connection lost, or a statement abandoned on it?
    pub(crate) fn is_lost(&self) -> bool {
        self.link.client.is_closed() || self.link.busy.load(Ordering::Relaxed)
    }

    /// Makes the pool close the connection instead of using it again.
    pub(crate) fn give_up(&self) {
        self.link.busy.store(true, Ordering::Relaxed);
    }

    async fn bounded<T>(
        &self,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, CatalogError> {
        let link: &Link = &self.link;
        link.busy.store(true, Ordering::Relaxed);
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, statement).await;
        match answer {
            Ok(answer) => {
                link.busy.store(false, Ordering::Relaxed);
                answer.map_err(CatalogError::from)
            }
            // Stays busy: an answer may still come, and must not be taken for the next caller's.
            Err(_) => Err(CatalogError::Timeout),
        }
    }
}
