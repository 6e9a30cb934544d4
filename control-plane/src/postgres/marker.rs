//! The one row in every tenant database that says whose it is.
//!
//! It belongs to the admin: the tenant reads it, and cannot change it even as the database's owner.
//! The gateway compares it with the catalog on every new connection.

use super::error::PostgresError;
use super::quote::{identifier, literal};
use super::role_session::RoleSession;
use super::session::Session;
use tenancy::{RoleName, TenantId};

/// Writes the marker, or completes the one that an interrupted attempt began.
/// `session` is in the tenant's database.
pub(crate) async fn write(session: &Session, tenant: TenantId) -> Result<(), PostgresError> {
    let id = literal(&tenant.to_string());
    let statements = format!(
        "create schema if not exists tenantry;
         create table if not exists tenantry.marker (tenant_id uuid primary key);
         insert into tenantry.marker (tenant_id) values ({id}) on conflict do nothing;"
    );
    session.batch(&statements).await?;
    check(session, tenant).await
}

/// Lets a login role read the marker. `session` is in the tenant's database.
pub(super) async fn show(session: &Session, role: &RoleName) -> Result<(), PostgresError> {
    let role = identifier(role.as_str());
    let statements =
        format!("grant usage on schema tenantry to {role}; grant select on tenantry.marker to {role};");
    session.batch(&statements).await
}

/// Is this database marked as the tenant's, and as nobody else's?
pub(super) async fn check(session: &Session, tenant: TenantId) -> Result<(), PostgresError> {
    let rows = session.query(READ, &[]).await?;
    let found: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    names(tenant, &found, session.address())
}

/// The same, as the tenant's role sees it.
pub(super) async fn check_as_role(session: &mut RoleSession, tenant: TenantId) -> Result<(), PostgresError> {
    let rows = session.query(READ).await?;
    let found: Vec<String> = rows.into_iter().flatten().flatten().collect();
    names(tenant, &found, session.address())
}

const READ: &str = "select tenant_id::text from tenantry.marker";

fn names(tenant: TenantId, found: &[String], address: &str) -> Result<(), PostgresError> {
    if matches!(found, [only] if *only == tenant.to_string()) {
        return Ok(());
    }
    let what = format!("the database's marker does not name tenant {tenant}");
    Err(PostgresError::CheckFailed { address: address.to_owned(), what })
}
