//! A tenant's database: made, found again, fenced, dropped.
//!
//! `CREATE DATABASE` cannot run in a transaction, so a crash can leave a database whose oid nobody wrote
//! down. Its name was in the ledger before and is used for nothing else, and it belongs to a role that
//! carries the tenant's mark: that makes it ours, and its oid is recorded then.

use super::error::PostgresError;
use super::quote::identifier;
use super::role;
use super::session::Session;
use tenancy::{DatabaseName, RoleName, TenantId};

/// Template of databases without content of their own. Nobody can connect to it, so nothing blocks a copy.
const TEMPLATE: &str = "template0";

/// A database's identity, as far as PostgreSQL has one.
#[derive(Debug, Clone)]
pub(crate) struct Owned<'a> {
    pub(crate) database: &'a DatabaseName,
    pub(crate) role: &'a RoleName,
    pub(crate) tenant: TenantId,
}

/// Makes the database, or finds the one that an interrupted attempt made. Returns its oid.
pub(crate) async fn ensure(session: &Session, owned: &Owned<'_>) -> Result<u32, PostgresError> {
    if let Some(oid) = find(session, owned).await? {
        return Ok(oid);
    }
    let (name, owner) = (identifier(owned.database.as_str()), identifier(owned.role.as_str()));
    session
        .batch(&format!("create database {name} owner {owner} template {TEMPLATE} encoding 'UTF8'"))
        .await?;
    find(session, owned).await?.ok_or_else(|| PostgresError::CheckFailed {
        address: session.address().to_owned(),
        what: format!("database {name} was created and is not there"),
    })
}

/// The oid of the tenant's database, if it exists. One of another owner is an error, never a no.
pub(crate) async fn find(session: &Session, owned: &Owned<'_>) -> Result<Option<u32>, PostgresError> {
    let sql = "select oid, pg_get_userbyid(datdba)::text from pg_database where datname = $1";
    let Some(row) = session.query_opt(sql, &[&owned.database.as_str()]).await? else { return Ok(None) };
    let owner: String = row.get(1);
    if owner == owned.role.as_str() && role::find(session, owned.role, owned.tenant).await?.is_some() {
        return Ok(Some(row.get(0)));
    }
    Err(PostgresError::Foreign { kind: "database", name: owned.database.to_string(), tenant: owned.tenant })
}

/// Lets nobody in any more and ends the sessions that are inside. Returns how many there were.
pub(crate) async fn fence(session: &Session, owned: &Owned<'_>, recorded: u32) -> Result<i64, PostgresError> {
    if !exists_as(session, owned, recorded).await? {
        return Ok(0);
    }
    let name = identifier(owned.database.as_str());
    // A template cannot be dropped, and its owner may declare it one.
    session.batch(&format!("alter database {name} with is_template false allow_connections false")).await?;
    let row = session
        .query_one(
            "select count(*) filter (where pg_terminate_backend(pid)) from pg_stat_activity
             where datname = $1 and backend_type = 'client backend'",
            &[&owned.database.as_str()],
        )
        .await?;
    Ok(row.get(0))
}

/// Undoes what the owner can do to its database so that it lets nobody in, and a fence too.
pub(crate) async fn open(session: &Session, owned: &Owned<'_>, recorded: u32) -> Result<(), PostgresError> {
    if !exists_as(session, owned, recorded).await? {
        return Ok(());
    }
    let name = identifier(owned.database.as_str());
    session
        .batch(&format!(
            "alter database {name} with is_template false allow_connections true connection limit -1"
        ))
        .await
}

/// Drops the database, whoever is inside, if it is the one that the ledger recorded.
pub(crate) async fn drop(session: &Session, owned: &Owned<'_>, recorded: u32) -> Result<(), PostgresError> {
    if !exists_as(session, owned, recorded).await? {
        return Ok(());
    }
    let name = identifier(owned.database.as_str());
    let dropping = async {
        session.batch(&format!("alter database {name} with is_template false")).await?;
        session.batch(&format!("drop database {name} with (force)")).await
    };
    match dropping.await {
        Err(error) if error.says_undefined() => Ok(()),
        outcome => outcome,
    }
}

/// Names can be taken over, oids cannot: what has another oid is not what we made.
async fn exists_as(session: &Session, owned: &Owned<'_>, recorded: u32) -> Result<bool, PostgresError> {
    match find(session, owned).await? {
        None => Ok(false),
        Some(found) if found == recorded => Ok(true),
        Some(found) => {
            Err(PostgresError::OtherDatabase { name: owned.database.to_string(), recorded, found })
        }
    }
}
