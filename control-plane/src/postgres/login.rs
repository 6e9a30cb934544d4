//! The proof that a tenant can be served: logging in as the gateway will.

use super::clusters::Endpoint;
use super::error::PostgresError;
use super::marker;
use super::role_session::RoleSession;
use catalog_schema::RoleLogin;
use tenancy::{DatabaseName, TenantId};

/// Logs in as one of the tenant's roles and asks what the gateway asks.
pub(crate) async fn check(
    endpoint: &Endpoint,
    database: &DatabaseName,
    login: &RoleLogin,
    tenant: TenantId,
) -> Result<(), PostgresError> {
    let mut session = RoleSession::open(endpoint, database, &login.role, &login.keys).await?;
    let rows = session
        .query(
            "select current_database()::text, current_user::text, \
                    (select system_identifier::text from pg_control_system())",
        )
        .await?;
    let expected = [database.as_str(), login.role.as_str(), endpoint.system_identifier.as_str()];
    let found: Vec<&str> = rows.iter().flatten().map(|value| value.as_deref().unwrap_or_default()).collect();
    if found != expected {
        let what = format!("logged in, and database, role and server are {found:?}, not {expected:?}");
        return Err(PostgresError::CheckFailed { address: session.address().to_owned(), what });
    }
    marker::check_as_role(&mut session, tenant).await
}
