//! What a server says about itself before it is registered.

use super::dsn::AdminDsn;
use super::error::PostgresError;
use super::session::{Login, Session};
use super::transport::Address;
use catalog_schema::ClusterTls;

/// `DROP DATABASE … WITH (FORCE)` needs 13 and `pg_database_owner` 14; 15 is the oldest that is tested.
pub(crate) const VERSION_NUM_MIN: i32 = 150_000;

/// A server's answers.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    /// As `server_version_num` has it: 150018 is 15.18.
    pub(crate) version_num: i32,
    pub(crate) system_identifier: String,
    pub(crate) in_recovery: bool,
    pub(crate) max_connections: i32,
    /// Those of them that only superusers and, since 16, members of `pg_use_reserved_connections` get.
    pub(crate) reserved_connections: i32,
    /// Whether the admin may create databases and roles and act for the roles it makes.
    pub(crate) admin_suffices: bool,
}

/// Logs in as the admin and asks.
pub(crate) async fn probe(dsn: &AdminDsn, tls: &ClusterTls) -> Result<Probe, PostgresError> {
    let AdminDsn { host, port, user, password, database } = dsn;
    let address = Address { host, port: *port, tls };
    let session = Session::open(Login { address, user, password, database }).await?;
    let row = session
        .query_one(
            "select current_setting('server_version_num')::int,
                    (select system_identifier::text from pg_control_system()),
                    pg_is_in_recovery(),
                    current_setting('max_connections')::int,
                    current_setting('superuser_reserved_connections')::int
                      + coalesce(current_setting('reserved_connections', true)::int, 0),
                    rolsuper or (rolcreatedb and rolcreaterole and rolinherit)
             from pg_roles where rolname = current_user",
            &[],
        )
        .await?;
    Ok(Probe {
        version_num: row.get(0),
        system_identifier: row.get(1),
        in_recovery: row.get(2),
        max_connections: row.get(3),
        reserved_connections: row.get(4),
        admin_suffices: row.get(5),
    })
}
