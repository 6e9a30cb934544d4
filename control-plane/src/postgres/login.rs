//! The proof that a tenant can be served: logging in as the gateway will.

use super::clusters::Endpoint;
use super::error::PostgresError;
use super::marker;
use super::session::{Login, Session};
use tenancy::{DatabaseName, RoleName, Secret, TenantId};

/// Logs in as the tenant's role and asks what the gateway asks.
pub(crate) async fn check(
    endpoint: &Endpoint,
    database: &DatabaseName,
    role: &RoleName,
    password: &Secret,
    tenant: TenantId,
) -> Result<(), PostgresError> {
    let login = Login {
        host: &endpoint.host,
        port: endpoint.port,
        user: role.as_str(),
        password,
        database: database.as_str(),
    };
    let session = Session::open(login).await?;
    let row = session
        .query_one(
            "select current_database()::text, current_user::text, (select system_identifier::text from pg_control_system())",
            &[],
        )
        .await?;
    let answers: (String, String, String) = (row.get(0), row.get(1), row.get(2));
    if (answers.0.as_str(), answers.1.as_str(), answers.2.as_str())
        != (database.as_str(), role.as_str(), endpoint.system_identifier.as_str())
    {
        let what = format!("logged in to \"{}\" as \"{}\" on server {}", answers.0, answers.1, answers.2);
        return Err(PostgresError::CheckFailed { address: session.address().to_owned(), what });
    }
    marker::check(&session, tenant).await
}
