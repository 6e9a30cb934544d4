//! What the roles beside the owner's have done to themselves. Every role may change its own password and settings, and
//! a pool's sessions share their role: what one client does keeps out, or changes, all that come after it.

use super::error::PostgresError;
use super::session::Session;
use tenancy::RoleName;

/// How a role should be.
pub(crate) struct Expected<'a> {
    pub(crate) role: &'a RoleName,
    pub(crate) verifier: String,
}

/// The roles that may not log in, have settings of their own, or another verifier. Those that do not exist are left
/// out.
pub(crate) async fn find(session: &Session, expected: &[Expected<'_>]) -> Result<Vec<String>, PostgresError> {
    let roles: Vec<&str> = expected.iter().map(|expected| expected.role.as_str()).collect();
    let sql = "select r.rolname::text from pg_roles r where r.rolname = any($1)
                 and (not r.rolcanlogin or exists (select from pg_db_role_setting s where s.setrole = r.oid))";
    let rows = session.query(sql, &[&roles]).await?;
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

/// Only a superuser does. With another admin, a role that has changed its password stays shut until its tenant is
/// suspended and resumed.
async fn may_see_verifiers(session: &Session) -> Result<bool, PostgresError> {
    let sql = "select has_column_privilege('pg_authid', 'rolpassword', 'select')";
    Ok(session.query_one(sql, &[]).await?.get(0))
}
