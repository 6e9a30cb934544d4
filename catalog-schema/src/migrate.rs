//! Brings the catalog's schema to this release's version, and refuses a newer one.
//!
//! The lock and the migrations are on one connection: a lock on another could be lost while the
//! migration runs on.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::sql::{bigint, typed};
use crate::way::Way;
use tenancy::Secret;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// The files of `migrations/`, as the macro embeds them.
mod embedded {
    refinery::embed_migrations!("migrations");
}

/// The version that this release's migrations lead to. A test holds it to the newest file.
pub const SCHEMA_VERSION: i32 = 21;

const HISTORY_TABLE: &str = "catalog.schema_migrations";

/// "tenantry" in ASCII: nobody else takes this advisory lock by chance.
const MIGRATION_LOCK: i64 = 0x7465_6e61_6e74_7279;

/// A migration may take longer than any statement of daily work, and so may waiting for another
/// process that migrates; neither may take forever.
const MIGRATION_SETTINGS: &str =
    "set statement_timeout = '15min'; set lock_timeout = '2min'; set client_min_messages = warning";

/// What a migration run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationReport {
    /// The versions that were applied now, in order. Empty when there was nothing to do.
    pub applied: Vec<i32>,
    /// The version of the schema afterwards.
    pub version: i32,
}

/// Migrates the catalog at `dsn`. Running it twice, or in several processes at once, is fine: they
/// take turns, and the later ones find nothing to do. Each migration is a transaction of its own.
///
/// # Errors
/// [`CatalogError::NewerSchema`] when a newer release migrated it; [`CatalogError::Migration`] when a
/// migration fails, or one that was applied differs from ours; or when the catalog is unavailable.
pub async fn migrate(dsn: &Secret) -> Result<MigrationReport, CatalogError> {
    let (mut client, connection) = Way::read(dsn, "migrate")?.connect().await?;
    // Ends with the client, whose end also gives the lock back, whatever happened.
    tokio::spawn(connection);
    client.batch_execute(MIGRATION_SETTINGS).await?;
    client.execute_typed("select pg_advisory_lock($1)", &typed(&[bigint(MIGRATION_LOCK)])).await?;
    client.batch_execute("create schema if not exists catalog").await?;
    refuse_newer(found_version(&client).await?)?;
    let report = embedded::migrations::runner()
        .set_migration_table_name(HISTORY_TABLE)
        .run_async(&mut client)
        .await
        .map_err(|error| CatalogError::Migration { reason: error_chain(&error) })?;
    let applied = report.applied_migrations().iter().map(refinery::Migration::version).collect();
    Ok(MigrationReport { applied, version: found_version(&client).await? })
}

impl Catalog {
    /// Checks that this release and the catalog's schema fit.
    ///
    /// # Errors
    /// [`CatalogError::OlderSchema`], [`CatalogError::NewerSchema`], or when the catalog is unavailable.
    pub async fn check_version(&self) -> Result<(), CatalogError> {
        let answer = self.row("select max(version) from catalog.schema_migrations", &[]).await;
        let found = match answer {
            Ok(row) => version_of(row.as_ref())?,
            Err(CatalogError::Database { code, .. }) if is_missing(&code) => 0,
            Err(error) => return Err(error),
        };
        refuse_newer(found)?;
        if found < SCHEMA_VERSION {
            return Err(CatalogError::OlderSchema { found, known: SCHEMA_VERSION });
        }
        Ok(())
    }
}

async fn found_version(client: &Client) -> Result<i32, CatalogError> {
    match client.query_typed("select max(version) from catalog.schema_migrations", &[]).await {
        Ok(rows) => version_of(rows.first()),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

fn version_of(row: Option<&tokio_postgres::Row>) -> Result<i32, CatalogError> {
    let version = row.map(|row| row.try_get::<_, Option<i32>>(0)).transpose();
    Ok(version.map_err(|why| CatalogError::corrupt("schema version", why))?.flatten().unwrap_or(0))
}

fn refuse_newer(found: i32) -> Result<(), CatalogError> {
    if found > SCHEMA_VERSION {
        return Err(CatalogError::NewerSchema { found, known: SCHEMA_VERSION });
    }
    Ok(())
}

fn is_missing(code: &str) -> bool {
    code == SqlState::UNDEFINED_TABLE.code() || code == SqlState::INVALID_SCHEMA_NAME.code()
}

/// The runner's own message leaves out the server's.
fn error_chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.contains(&cause) { text } else { format!("{text}: {cause}") }
    })
}

#[cfg(test)]
mod tests {
    use super::{SCHEMA_VERSION, embedded};

    #[test]
    fn the_version_is_that_of_the_newest_file() {
        let newest =
            embedded::migrations::runner().get_migrations().iter().map(refinery::Migration::version).max();
        assert_eq!(newest, Some(SCHEMA_VERSION));
    }
}
