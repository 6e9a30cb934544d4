//! Who may do what in a new tenant database: its role everything, everybody else nothing.

use super::error::PostgresError;
use super::marker;
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
    let (name, owner) = (identifier(database.as_str()), identifier(role.as_str()));
    let statements = format!(
        "revoke all on database {name} from public;
         alter schema public owner to {owner};"
    );
    session.batch(&statements).await?;
    admit(session, database, role).await
}

/// Lets the owner's role into its database. `session` may be in any database of the cluster.
pub(crate) async fn admit(
    session: &Session,
    database: &DatabaseName,
    role: &RoleName,
) -> Result<(), PostgresError> {
    let (database, owner) = (identifier(database.as_str()), identifier(role.as_str()));
    session.batch(&format!("grant connect, temporary, create on database {database} to {owner}")).await
}

/// Lets a login role be asked what the gateway asks every server: whose database this is, and which server it is.
/// PostgreSQL tells everybody the latter; where an administrator has revoked that, the role gets the right back.
/// `session` is in the tenant's database.
pub(crate) async fn allow_identity_check(session: &Session, role: &RoleName) -> Result<(), PostgresError> {
    marker::show(session, role).await?;
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
