//! Transactions that were prepared and are still waiting for their end. They outlive the session that made them,
//! hold their locks, and a database with one cannot be dropped.

use super::error::PostgresError;
use super::quote::{identifier, literal};
use super::session::Session;
use tenancy::DatabaseName;

/// One of them. There are never more than the server's `max_prepared_transactions`.
pub(crate) struct Prepared {
    gid: String,
    owner: String,
}

/// Those in a database.
pub(crate) async fn find(session: &Session, database: &DatabaseName) -> Result<Vec<Prepared>, PostgresError> {
    let sql = "select gid, owner::text from pg_prepared_xacts where database = $1";
    let rows = session.query(sql, &[&database.as_str()]).await?;
    Ok(rows.iter().map(|row| Prepared { gid: row.get(0), owner: row.get(1) }).collect())
}

/// Rolls one back. `inside` is in its database, because it can be ended from nowhere else. That takes its owner or a
/// superuser, and the admin need not be one.
pub(crate) async fn roll_back(inside: &Session, prepared: &Prepared) -> Result<(), PostgresError> {
    inside.batch(&format!("set role {}", identifier(&prepared.owner))).await?;
    match inside.batch(&format!("rollback prepared {}", literal(&prepared.gid))).await {
        Err(error) if !error.says_undefined() => return Err(error),
        _ => {}
    }
    inside.batch("reset role").await
}
