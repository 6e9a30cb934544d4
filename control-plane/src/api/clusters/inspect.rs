//! Looking at a server before it is registered, or before its address is changed.

use super::super::problem::{ApiResult, Problem, ProblemKind};
use crate::postgres::PostgresError;
use crate::postgres::dsn::AdminDsn;
use crate::postgres::probe::{Probe, VERSION_NUM_MIN, probe};
use catalog_schema::ClusterTls;
use std::time::Duration;
use tenancy::Secret;
use tokio::time::timeout;

/// How long the look may take. Nothing of the catalog is held meanwhile; it is the client that waits.
const INSPECT_TIMEOUT: Duration = Duration::from_secs(8);

/// A server that can be a cluster, and how it was reached.
pub(super) struct Inspected {
    pub(super) dsn: AdminDsn,
    pub(super) probe: Probe,
}

/// Takes the DSN apart. No answer repeats any of it.
pub(super) fn parse(dsn: &Secret) -> ApiResult<AdminDsn> {
    AdminDsn::parse(dsn.expose()).map_err(|error| {
        Problem::new(ProblemKind::ClusterDsnInvalid).detail(error.to_string()).field("admin_dsn")
    })
}

/// Logs in and checks that the server is a primary of a version that we know, and the admin's privileges suffice.
pub(super) async fn inspect(dsn: AdminDsn, tls: &ClusterTls) -> ApiResult<Inspected> {
    let answered = timeout(INSPECT_TIMEOUT, probe(&dsn, tls)).await;
    let unreachable = || Problem::new(ProblemKind::ClusterUnreachable).field("admin_dsn");
    let probe =
        answered.map_err(|_| unreachable().detail("no answer in time"))?.map_err(|error| match error {
            PostgresError::NoTls { .. } => unreachable()
                .detail(error.to_string())
                .hint("turn ssl on there; with tls_mode \"disable\" all connections to it are in clear"),
            PostgresError::NotTrusted { .. } => unreachable().detail(error.to_string()).hint(
                "tls_ca names the authority of its certificate, tls_server_name the name in it where that is not its host",
            ),
            PostgresError::PasswordAsked { .. } => unreachable()
                .detail(error.to_string())
                .hint("use scram-sha-256 in its pg_hba.conf and password_encryption"),
            error => unreachable().detail(error.to_string()),
        })?;
    if probe.version_num < VERSION_NUM_MIN {
        let detail =
            format!("the server is PostgreSQL {}.{}", probe.version_num / 10_000, probe.version_num % 10_000);
        return Err(Problem::new(ProblemKind::ClusterVersion).detail(detail).field("admin_dsn"));
    }
    if probe.in_recovery {
        return Err(Problem::new(ProblemKind::ClusterReadOnly).field("admin_dsn"));
    }
    if !probe.admin_suffices {
        let detail =
            format!("role \"{}\" has neither SUPERUSER nor CREATEDB, CREATEROLE and INHERIT", dsn.user);
        return Err(Problem::new(ProblemKind::ClusterPrivileges).detail(detail).field("admin_dsn"));
    }
    Ok(Inspected { dsn, probe })
}

/// Connections that are left to the control plane and to people, who need not be superusers.
const SPARE: i32 = 5;

/// A budget above what the server lets in could never be used, and would lock the control plane out when tried.
pub(super) fn check_budget(connection_budget: u32, probe: &Probe) -> ApiResult<()> {
    let Probe { max_connections, reserved_connections, .. } = probe;
    let room = max_connections.saturating_sub(*reserved_connections).saturating_sub(SPARE);
    if i64::from(connection_budget) <= i64::from(room) {
        return Ok(());
    }
    let detail = format!(
        "at most {room}: the server's max_connections is {max_connections}, {reserved_connections} of them \
         reserved by the server, and {SPARE} are kept for the control plane"
    );
    Err(Problem::new(ProblemKind::InvalidField).detail(detail).field("connection_budget"))
}
