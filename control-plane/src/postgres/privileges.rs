//! Who may do what in a new tenant database: its role everything, everybody else nothing.

use super::error::PostgresError;
use super::quote::identifier;
use super::session::Session;
use tenancy::{DatabaseName, RoleName};

/// Shuts the database to all but the tenant's role and gives that role the `public` schema.
/// `session` is in the tenant's database.
pub(crate) async fn apply(
    session: &Session,
    database: &DatabaseName,
    role: &RoleName,
) -> Result<(), PostgresError> {
    let (database, owner) = (identifier(database.as_str()), identifier(role.as_str()));
    let statements = format!(
        "revoke all on database {database} from public;
         grant connect, temporary, create on database {database} to {owner};
         alter schema public owner to {owner};"
    );
    session.batch(&statements).await?;
    allow_identity_check(session, role).await
}

/// The gateway asks every server who it is, as the tenant's role. PostgreSQL lets everybody ask; where an
/// administrator has revoked that, the role gets the right back.
async fn allow_identity_check(session: &Session, role: &RoleName) -> Result<(), PostgresError> {
    let row = session
        .query_one(
            "select has_function_privilege($1::name, 'pg_catalog.pg_control_system()', 'execute')",
            &[&role.as_str()],
        )
        .await?;
    if row.get(0) {
        return Ok(());
    }
    session
        .batch(&format!("grant execute on function pg_control_system() to {}", identifier(role.as_str())))
        .await
}
