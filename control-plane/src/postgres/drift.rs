//! What the roles beside the owner's have done to themselves. Every role may change its own password and settings,
//! give up what was granted to it, and before PostgreSQL 16 make any role a member of itself. Each of these keeps
//! the gateway out or lets one role do what another may.

use super::error::PostgresError;
use super::quote::identifier;
use super::role::MARK;
use super::session::Session;
use tenancy::{DatabaseName, RoleName};

/// How a role should be.
pub(crate) struct Expected<'a> {
    pub(crate) role: &'a RoleName,
    pub(crate) database: &'a DatabaseName,
    pub(crate) verifier: String,
}

/// The roles that are not as they should be. Those that do not exist are left out.
pub(crate) async fn find(session: &Session, expected: &[Expected<'_>]) -> Result<Vec<String>, PostgresError> {
    let roles: Vec<&str> = expected.iter().map(|expected| expected.role.as_str()).collect();
    let databases: Vec<&str> = expected.iter().map(|expected| expected.database.as_str()).collect();
    let sql = "select r.rolname::text from unnest($1::text[], $2::text[]) as e(role, database)
               join pg_roles r on r.rolname = e.role join pg_database d on d.datname = e.database
               where not r.rolcanlogin or not has_database_privilege(r.oid, d.oid, 'connect')
                 or exists (select from pg_db_role_setting s where s.setrole = r.oid)
                 or exists (select from pg_auth_members m where m.member = r.oid or m.roleid = r.oid
                            and starts_with(shobj_description(m.member, 'pg_authid'), $3))";
    let rows = session.query(sql, &[&roles, &databases, &MARK]).await?;
    let mut drifted: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    if may_see_verifiers(session).await? {
        let verifiers: Vec<&str> = expected.iter().map(|expected| expected.verifier.as_str()).collect();
        let sql = "select a.rolname::text from unnest($1::text[], $2::text[]) as e(role, verifier)
                   join pg_authid a on a.rolname = e.role where a.rolpassword is distinct from e.verifier";
        let rows = session.query(sql, &[&roles, &verifiers]).await?;
        drifted.extend(rows.iter().map(|row| row.get::<_, String>(0)));
    }
    Ok(drifted)
}

/// Only a superuser does; for another admin the gateway's refused logins have to tell.
async fn may_see_verifiers(session: &Session) -> Result<bool, PostgresError> {
    let sql = "select has_column_privilege('pg_authid', 'rolpassword', 'select')";
    Ok(session.query_one(sql, &[]).await?.get(0))
}

/// Ends every membership between the role and another of a tenant's, in either direction, and every other that the
/// role has been given.
pub(crate) async fn separate(session: &Session, role: &RoleName) -> Result<(), PostgresError> {
    let sql = "select g.rolname::text, m.rolname::text from pg_auth_members a
               join pg_roles g on g.oid = a.roleid join pg_roles m on m.oid = a.member
               where m.rolname = $1
                  or g.rolname = $1 and starts_with(shobj_description(m.oid, 'pg_authid'), $2)";
    for row in session.query(sql, &[&role.as_str(), &MARK]).await? {
        let (granted, member) = (identifier(row.get(0)), identifier(row.get(1)));
        session.batch(&format!("revoke {granted} from {member}")).await?;
    }
    Ok(())
}
