//! What databases take on a cluster's disks.

use super::error::PostgresError;
use super::session::Session;

/// The sizes of those of the databases that are there, in bytes, by oid. The server looks at every file of each.
///
/// # Errors
/// When the cluster does not answer, or will not tell.
pub(crate) async fn of_databases(session: &Session, oids: &[u32]) -> Result<Vec<(u32, u64)>, PostgresError> {
    // One that is dropped between the look and the measuring has no size, which is null and not an error.
    let sql = "select d.oid, pg_database_size(d.oid) from pg_database d where d.oid = any($1)";
    let rows = session.query(sql, &[&oids]).await?;
    let size = |row: &tokio_postgres::Row| {
        let bytes: Option<i64> = row.get(1);
        Some((row.get(0), u64::try_from(bytes?).ok()?))
    };
    Ok(rows.iter().filter_map(size).collect())
}
