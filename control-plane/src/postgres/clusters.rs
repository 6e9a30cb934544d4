//! One admin session and one DDL lock for each cluster.
//!
//! Within this process a mutex queues those who want to change a cluster; between processes an advisory
//! lock in the admin database does. The lock belongs to the session, so it falls with the connection: a
//! control plane that dies, or is stopped and comes back, cannot hold it without being connected, and
//! cannot change anything without holding it.

use super::error::PostgresError;
use super::session::{Login, Session};
use super::transport::Address;
use catalog_schema::{ClusterAdmin, ClusterTls};
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tenancy::{ClusterId, Secret};
use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;

/// The advisory lock's key: "tenantry" in ASCII, so that it is recognised in `pg_locks` and shared with nobody.
const DDL_LOCK_KEY: i64 = i64::from_be_bytes(*b"tenantry");

/// How long to queue behind other operations of this process.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(60);

/// How to reach a cluster as its admin.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) cluster: ClusterId,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: Secret,
    /// Where admin sessions go.
    pub(crate) database: String,
    /// How connections are secured.
    pub(crate) tls: ClusterTls,
    /// What the server must answer, or it is another one.
    pub(crate) system_identifier: String,
}

impl From<ClusterAdmin> for Endpoint {
    fn from(admin: ClusterAdmin) -> Self {
        Self {
            cluster: admin.cluster.id,
            host: admin.cluster.host,
            port: admin.cluster.port,
            user: admin.user,
            password: admin.password,
            database: admin.database,
            tls: admin.cluster.tls,
            system_identifier: admin.cluster.system_identifier,
        }
    }
}

impl Endpoint {
    fn login<'a>(&'a self, database: &'a str) -> Login<'a> {
        Login { address: self.way(), user: &self.user, password: &self.password, database }
    }

    /// Where the server is.
    pub(super) fn way(&self) -> Address<'_> {
        Address { host: &self.host, port: self.port, tls: &self.tls }
    }

    /// `host:port`, for messages.
    pub(super) fn address(&self) -> String {
        self.way().to_string()
    }

    fn same_address(&self, address: &str) -> bool {
        address == self.address()
    }
}

type Slot = Arc<tokio::sync::Mutex<Option<Session>>>;

/// The clusters that this process has changed so far, each with its admin session. As many as are registered.
#[derive(Default)]
pub(crate) struct Clusters {
    slots: Mutex<HashMap<ClusterId, Slot>>,
}

impl Clusters {
    /// Waits for the right to change the cluster's roles and databases.
    pub(crate) async fn lock(&self, endpoint: &Endpoint) -> Result<ClusterDdl, PostgresError> {
        let busy = || PostgresError::Busy { address: endpoint.address() };
        let queued = timeout(QUEUE_TIMEOUT, self.slot(endpoint.cluster).lock_owned());
        let mut slot = queued.await.map_err(|_| busy())?;
        let kept =
            slot.take().filter(|session| !session.closed() && endpoint.same_address(session.address()));
        let session = match kept {
            Some(session) => session,
            None => open_verified(endpoint, &endpoint.database).await?,
        };
        match session.query_one("select pg_advisory_lock($1)", &[&DDL_LOCK_KEY]).await {
            Ok(_) => Ok(ClusterDdl { session, slot }),
            Err(PostgresError::Reported { code, .. }) if code == SqlState::LOCK_NOT_AVAILABLE => {
                *slot = Some(session);
                Err(busy())
            }
            Err(error) => Err(error),
        }
    }

    /// Opens an admin session in one database of the cluster. The caller drops it at the end of its step.
    pub(crate) async fn enter(&self, endpoint: &Endpoint, database: &str) -> Result<Session, PostgresError> {
        open_verified(endpoint, database).await
    }

    fn slot(&self, cluster: ClusterId) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(cluster).or_default())
    }
}

/// The right to change a cluster's roles and databases, with the session to do it on.
///
/// Dropped without [`ClusterDdl::release`] it closes the session, so the lock falls on every path.
pub(crate) struct ClusterDdl {
    session: Session,
    slot: OwnedMutexGuard<Option<Session>>,
}

impl ClusterDdl {
    /// Gives the lock back and keeps the session for the next.
    pub(crate) async fn release(mut self) {
        let unlocked = self.session.query_one("select pg_advisory_unlock($1)", &[&DDL_LOCK_KEY]).await;
        if unlocked.is_ok() {
            *self.slot = Some(self.session);
        }
    }
}

impl Deref for ClusterDdl {
    type Target = Session;
    fn deref(&self) -> &Session {
        &self.session
    }
}

/// A recycled address must not have its databases changed: the server proves first which one it is.
async fn open_verified(endpoint: &Endpoint, database: &str) -> Result<Session, PostgresError> {
    let session = Session::open(endpoint.login(database)).await?;
    let sql = "select (select system_identifier::text from pg_control_system()), pg_is_in_recovery()";
    let row = session.query_one(sql, &[]).await?;
    let (found, standby): (String, bool) = (row.get(0), row.get(1));
    if found == endpoint.system_identifier {
        // A standby has its primary's identifier. It changes nothing, and may not know yet what was changed.
        return if standby {
            Err(PostgresError::Standby { address: session.address().to_owned() })
        } else {
            Ok(session)
        };
    }
    let (address, expected) = (session.address().to_owned(), endpoint.system_identifier.clone());
    Err(PostgresError::OtherServer { address, expected, found })
}
