//! What tenants' login roles have done to themselves. Every role may change its own password and settings, and
//! a pool's sessions share their role: what one client does keeps out, or changes, all that come after it.

use super::error::PostgresError;
use super::role_settings;
use super::session::Session;
use catalog_schema::RoleSettings;
use std::collections::HashMap;
use tenancy::RoleName;

/// How a role beside the owner's should be.
pub(crate) struct Expected<'a> {
    pub(crate) role: &'a RoleName,
    pub(crate) verifier: String,
    /// All settings that it should have.
    pub(crate) settings: RoleSettings,
}

/// The owner's role, which has settings of its own beside ours.
pub(crate) struct ExpectedOwner<'a> {
    pub(crate) role: &'a RoleName,
    /// Ours. What is none is the owner's to choose.
    pub(crate) settings: RoleSettings,
}

/// A role's settings in one database, or in all.
struct Stored {
    in_one_database: bool,
    settings: Vec<String>,
}

/// The roles that may not log in, have other settings than they should, or another verifier. Those that do not exist
/// are left out.
pub(crate) async fn find(session: &Session, expected: &[Expected<'_>]) -> Result<Vec<String>, PostgresError> {
    let roles: Vec<&str> = expected.iter().map(|expected| expected.role.as_str()).collect();
    let sql = "select r.rolname::text from pg_roles r where r.rolname = any($1) and not r.rolcanlogin";
    let rows = session.query(sql, &[&roles]).await?;
    let mut drifted: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let stored = stored(session, &roles).await?;
    let other = expected.iter().filter(|expected| !has_only(&stored, expected.role, &expected.settings));
    drifted.extend(other.map(|expected| expected.role.to_string()));
    if may_see_verifiers(session).await? {
        let verifiers: Vec<&str> = expected.iter().map(|expected| expected.verifier.as_str()).collect();
        let sql = "select a.rolname::text from unnest($1::text[], $2::text[]) as e(role, verifier)
                   join pg_authid a on a.rolname = e.role where a.rolpassword is distinct from e.verifier";
        let rows = session.query(sql, &[&roles, &verifiers]).await?;
        drifted.extend(rows.iter().map(|row| row.get::<_, String>(0)));
    }
    Ok(drifted)
}

/// The owners' roles that lack a setting of ours, or have another in its place.
pub(crate) async fn find_owners(
    session: &Session,
    expected: &[ExpectedOwner<'_>],
) -> Result<Vec<String>, PostgresError> {
    let limited = expected.iter().filter(|expected| expected.settings != RoleSettings::default());
    let roles: Vec<&str> = limited.clone().map(|expected| expected.role.as_str()).collect();
    if roles.is_empty() {
        return Ok(Vec::new());
    }
    let stored = stored(session, &roles).await?;
    let lacking = limited.filter(|expected| !has_ours(&stored, expected.role, &expected.settings));
    Ok(lacking.map(|expected| expected.role.to_string()).collect())
}

/// The settings of those of the roles that exist, whether they have any or not.
async fn stored(session: &Session, roles: &[&str]) -> Result<HashMap<String, Vec<Stored>>, PostgresError> {
    let sql = "select r.rolname::text, s.setdatabase <> 0, s.setconfig from pg_roles r
               left join pg_db_role_setting s on s.setrole = r.oid where r.rolname = any($1)";
    let mut all: HashMap<String, Vec<Stored>> = HashMap::new();
    for row in session.query(sql, &[&roles]).await? {
        let of_role = all.entry(row.get(0)).or_default();
        if let (Some(in_one_database), Some(settings)) = (row.get(1), row.get(2)) {
            of_role.push(Stored { in_one_database, settings });
        }
    }
    Ok(all)
}

fn has_only(all: &HashMap<String, Vec<Stored>>, role: &RoleName, expected: &RoleSettings) -> bool {
    let Some(stored) = all.get(role.as_str()) else { return true };
    let mut settings: Vec<&str> = Vec::new();
    for stored in stored {
        if stored.in_one_database {
            return false;
        }
        settings.extend(stored.settings.iter().map(String::as_str));
    }
    let mut expected = role_settings::stored(expected);
    settings.sort_unstable();
    expected.sort_unstable();
    settings == expected
}

fn has_ours(all: &HashMap<String, Vec<Stored>>, role: &RoleName, expected: &RoleSettings) -> bool {
    let Some(stored) = all.get(role.as_str()) else { return true };
    role_settings::values(expected).into_iter().filter(|(_, value)| *value > 0).all(|(name, value)| {
        let (prefix, wanted) = (format!("{name}="), format!("{name}={value}"));
        let found: Vec<(bool, &String)> = stored
            .iter()
            .flat_map(|stored| stored.settings.iter().map(|setting| (stored.in_one_database, setting)))
            .filter(|(_, setting)| setting.starts_with(&prefix))
            .collect();
        matches!(found.as_slice(), [(false, setting)] if **setting == wanted)
    })
}

/// Only a superuser does. With another admin, a role that has changed its password stays shut until its tenant is
/// suspended and resumed.
async fn may_see_verifiers(session: &Session) -> Result<bool, PostgresError> {
    let sql = "select has_column_privilege('pg_authid', 'rolpassword', 'select')";
    Ok(session.query_one(sql, &[]).await?.get(0))
}
