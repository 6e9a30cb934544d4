//! What others have granted to a tenant's role. A role cannot be dropped while anything refers to it, and
//! every owner of an object may grant on it to every role of the server, also to one of another tenant.

use super::error::PostgresError;
use super::quote::identifier;
use super::role;
use super::session::Session;
use tenancy::RoleName;

/// Databases that one attempt goes through, each with a connection of its own, all under the cluster's lock.
const DATABASES_MAX: i64 = 32;

/// The databases in which something refers to the role, as many as one attempt takes on.
pub(crate) async fn databases(session: &Session, role_oid: u32) -> Result<Vec<String>, PostgresError> {
    let sql = "select distinct d.datname::text from pg_shdepend s join pg_database d on d.oid = s.dbid
               where s.refclassid = 'pg_authid'::regclass and s.refobjid = $1 order by 1 limit $2";
    let rows = session.query(sql, &[&role_oid, &DATABASES_MAX]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Takes back all that was granted to the role in the session's database and on shared objects, and drops what
/// it owns there. Databases are never dropped by this.
pub(crate) async fn take_back(session: &Session, role: &RoleName) -> Result<(), PostgresError> {
    role::act_for(session, role).await?;
    session.batch(&format!("drop owned by {}", identifier(role.as_str()))).await
}

/// Leaves what the role owns in another tenant's database to that tenant, whose data may depend on it.
/// Nobody else inherits: a tenant's functions would run with the rights of an admin then.
pub(crate) async fn hand_over(session: &Session, role: &RoleName) -> Result<(), PostgresError> {
    let sql = "select r.rolname::text from pg_database d join pg_roles r on r.oid = d.datdba
               where d.datname = current_database() and not r.rolsuper
                 and starts_with(shobj_description(r.oid, 'pg_authid'), $1)";
    let Some(row) = session.query_opt(sql, &[&role::MARK]).await? else { return Ok(()) };
    let (role_name, heir) = (identifier(role.as_str()), identifier(row.get(0)));
    role::act_for(session, role).await?;
    session.batch(&format!("reassign owned by {role_name} to {heir}")).await
}
