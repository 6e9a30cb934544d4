//! The roles that the gateway logs in as: the one that owns a tenant's database, and those beside it.
//!
//! A comment on the role says whose it is. The tenant cannot change it (that takes CREATEROLE), so the
//! comment proves that the role is ours to change and to drop, and so does owning a database.

use super::error::PostgresError;
use super::quote::{identifier, literal};
use super::role_settings;
use super::session::Session;
use catalog_schema::RoleSettings;
use std::time::Duration;
use tenancy::{RoleName, TenantId};

/// What the comments on tenants' roles begin with; the tenant's id follows.
pub(super) const MARK: &str = "tenantry tenant ";

/// How long to wait for a role that is being changed. It may be its own session that does, in a transaction that it never
/// ends, while we hold the cluster's lock.
const ROLE_WAIT: Duration = Duration::from_secs(1);

fn mark(tenant: TenantId) -> String {
    format!("{MARK}{tenant}")
}

/// Makes the role with a verifier of its keys, or takes over the one that an interrupted attempt made. Returns its oid.
pub(crate) async fn ensure(
    session: &Session,
    role: &RoleName,
    tenant: TenantId,
    verifier: &str,
) -> Result<u32, PostgresError> {
    let (name, verifier) = (identifier(role.as_str()), literal(verifier));
    if let Some(oid) = find(session, role, tenant).await? {
        session.batch(&format!("alter role {name} login connection limit -1 password {verifier}")).await?;
        act_for(session, role).await?;
        return Ok(oid);
    }
    // One implicit transaction: a role without its mark is never seen. Every "no" is spelled out because
    // defaults are the server's, and the tenant must not have these.
    let make = format!(
        "create role {name} login nosuperuser nocreatedb nocreaterole noreplication nobypassrls connection limit -1
           password {verifier};
         comment on role {name} is {};",
        literal(&mark(tenant))
    );
    session.batch(&make).await?;
    act_for(session, role).await?;
    find(session, role, tenant).await?.ok_or_else(|| PostgresError::CheckFailed {
        address: session.address().to_owned(),
        what: format!("role {name} was created and is not there"),
    })
}

/// Lets an admin that is no superuser make databases for the role and clean up after it.
pub(super) async fn act_for(session: &Session, role: &RoleName) -> Result<(), PostgresError> {
    let sql = "select pg_has_role(current_user, $1::name, 'usage')";
    if session.query_one(sql, &[&role.as_str()]).await?.get(0) {
        return Ok(());
    }
    session.batch(&format!("grant {} to current_user", identifier(role.as_str()))).await
}

/// Lets the role log in by the keys of this verifier, and by nothing else.
pub(crate) async fn set_verifier(
    session: &Session,
    role: &RoleName,
    verifier: &str,
) -> Result<(), PostgresError> {
    session.batch(&format!("alter role {} password {}", identifier(role.as_str()), literal(verifier))).await
}

/// Lets the role log in again by the keys of this verifier, and takes back the settings that it has given
/// itself: with some of them no session of its own ever begins. Every role may change its own password and settings.
/// It has these `settings` then, and no others.
pub(crate) async fn allow_login(
    session: &Session,
    role: &RoleName,
    verifier: &str,
    settings: &RoleSettings,
) -> Result<(), PostgresError> {
    let name = identifier(role.as_str());
    // One implicit transaction, for which the shorter wait holds.
    let mut statements =
        format!("set local lock_timeout = {}; alter role {name} reset all;", ROLE_WAIT.as_millis());
    for database in databases_with_settings(session, role).await? {
        statements += &format!("alter role {name} in database {} reset all;", identifier(&database));
    }
    statements += &role_settings::set(role, settings);
    statements += &format!("alter role {name} login connection limit -1 password {};", literal(verifier));
    session.batch(&statements).await
}

/// Puts these settings on the role in place of `before`, in whatever database it had others of them. What else it has
/// stays.
pub(crate) async fn set_settings(
    session: &Session,
    role: &RoleName,
    before: &RoleSettings,
    settings: &RoleSettings,
) -> Result<(), PostgresError> {
    let name = identifier(role.as_str());
    let mut statements = format!("set local lock_timeout = {};", ROLE_WAIT.as_millis());
    for database in databases_with_settings(session, role).await? {
        for (setting, _) in role_settings::values(settings).into_iter().filter(|(_, value)| *value > 0) {
            let database = identifier(&database);
            statements += &format!("alter role {name} in database {database} reset {setting};");
        }
    }
    statements += &role_settings::reset(role, before, settings);
    statements += &role_settings::set(role, settings);
    session.batch(&statements).await
}

/// A role may give itself settings in every database of the cluster, those of others and the server's own as well.
async fn databases_with_settings(session: &Session, role: &RoleName) -> Result<Vec<String>, PostgresError> {
    let sql = "select d.datname::text from pg_db_role_setting s
               join pg_roles r on r.oid = s.setrole join pg_database d on d.oid = s.setdatabase
               where r.rolname = $1";
    let rows = session.query(sql, &[&role.as_str()]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The roles' sessions that are in a transaction, in whatever database.
pub(crate) async fn busy_sessions(session: &Session, roles: &[RoleName]) -> Result<i64, PostgresError> {
    let sql = "select count(*) from pg_stat_activity
               where usename = any($1) and backend_type = 'client backend' and xact_start is not null";
    Ok(session.query_one(sql, &[&words(roles)]).await?.get(0))
}

/// Ends the roles' sessions, in whatever database. Returns how many there were.
pub(crate) async fn end_sessions(session: &Session, roles: &[RoleName]) -> Result<i64, PostgresError> {
    let sql = "select count(*) filter (where pg_terminate_backend(pid)) from pg_stat_activity
               where usename = any($1) and backend_type = 'client backend'";
    Ok(session.query_one(sql, &[&words(roles)]).await?.get(0))
}

fn words(roles: &[RoleName]) -> Vec<&str> {
    roles.iter().map(RoleName::as_str).collect()
}

/// Lets the role log in no more. A role that is gone already cannot either.
pub(crate) async fn forbid_login(
    session: &Session,
    role: &RoleName,
    tenant: TenantId,
) -> Result<(), PostgresError> {
    if find(session, role, tenant).await?.is_some() {
        session.batch(&format!("alter role {} nologin", identifier(role.as_str()))).await?;
    }
    Ok(())
}

/// Drops the role. It was found to be the tenant's before, under the same lock.
pub(crate) async fn drop(session: &Session, role: &RoleName) -> Result<(), PostgresError> {
    match session.batch(&format!("drop role {}", identifier(role.as_str()))).await {
        Err(error) if error.says_undefined() => Ok(()),
        outcome => outcome,
    }
}

/// The oid of the tenant's role, if it exists. One of another owner is an error, never a no.
pub(crate) async fn find(
    session: &Session,
    role: &RoleName,
    tenant: TenantId,
) -> Result<Option<u32>, PostgresError> {
    let found = session
        .query_opt(
            "select oid, shobj_description(oid, 'pg_authid') from pg_roles where rolname = $1",
            &[&role.as_str()],
        )
        .await?;
    let Some(row) = found else { return Ok(None) };
    if row.get::<_, Option<String>>(1).as_deref() == Some(mark(tenant).as_str()) {
        return Ok(Some(row.get(0)));
    }
    Err(PostgresError::Foreign { kind: "role", name: role.to_string(), tenant })
}
