//! The proof that a tenant can be served: logging in as the gateway will.

use super::clusters::Endpoint;
use super::database::Owned;
use super::error::PostgresError;
use super::marker;
use super::role_session::RoleSession;
use pgwire::scram::ClientKeys;

/// Logs in as the tenant's role and asks what the gateway asks.
pub(crate) async fn check(
    endpoint: &Endpoint,
    owned: &Owned<'_>,
    keys: &ClientKeys,
) -> Result<(), PostgresError> {
    let mut session = RoleSession::open(endpoint, owned.database, owned.role, keys).await?;
    let rows = session
        .query(
            "select current_database()::text, current_user::text, \
                    (select system_identifier::text from pg_control_system())",
        )
        .await?;
    let expected = [owned.database.as_str(), owned.role.as_str(), endpoint.system_identifier.as_str()];
    let found: Vec<&str> = rows.iter().flatten().map(|value| value.as_deref().unwrap_or_default()).collect();
    if found != expected {
        let what = format!("logged in, and database, role and server are {found:?}, not {expected:?}");
        return Err(PostgresError::CheckFailed { address: session.address().to_owned(), what });
    }
    marker::check_as_role(&mut session, owned.tenant).await
}
