//! What a tenant hears whose database has reached a quota.
//!
//! The server refuses the writes: sessions of a full tenant begin read-only, and those of a sealed one are its reading
//! role's. Here is what it is told, that what a sealed one still runs is ended, and that a closed one is not served:
//! what its owner lends to the reading role, no server refuses.

use crate::clients::{Clients, End};
use crate::error::Refusal;
use crate::pool::Lease;
use crate::resolve::Tenant;
use catalog_schema::RouteRecord;
use pgwire::backend::write;
use pgwire::{ErrorResponse, Severity, SqlState};
use tenancy::{Access, ErrorKind, Limits, StorageStanding};

const DELETE_HINT: &str = "delete what is not needed in a transaction that begins with SET TRANSACTION READ WRITE, \
     give the space back with TRUNCATE, DROP or VACUUM FULL, or ask for a larger plan";

/// A reading session cannot make room: of a tenant that is sealed none can, and of one that is full others may.
const READER_HINT: &str = "this session may only read; with a larger plan the tenant writes again, or when those who may \
     write have made room before it is sealed";

const SEALED_HINT: &str =
    "it went on growing beyond the quota, so nothing can be written or deleted; ask for a larger plan";

/// In place of a server's "cannot execute … in a read-only transaction".
#[must_use]
pub fn refusal(lease: &Lease) -> Refusal {
    let hint = if lease.access() == Access::Read { READER_HINT } else { DELETE_HINT };
    Refusal::new(ErrorKind::StorageFull, is_full(&lease.pool().limits())).hint(hint)
}

/// For who has come to a connection just as its tenant was sealed or closed.
#[must_use]
pub fn sealed(limits: &Limits) -> Refusal {
    Refusal::new(ErrorKind::StorageFull, is_full(limits)).hint(SEALED_HINT)
}

/// Is anybody served by a tenant that stands like this?
///
/// # Errors
/// It is closed.
pub fn is_served(standing: StorageStanding, limits: impl FnOnce() -> Limits) -> Result<(), Refusal> {
    if standing != StorageStanding::Closed {
        return Ok(());
    }
    let quota = limits().storage_hard_bytes;
    let message = format!("the tenant's database has grown far beyond its storage quota of {quota} bytes");
    let hint = "it grew on when it could only be read, so nobody is served; ask for a larger plan";
    Err(Refusal::new(ErrorKind::StorageFull, message).hint(hint))
}

/// May what runs on a connection of this access go on?
///
/// # Errors
/// The tenant has been sealed, and the connection is not its reading role's, or it has been closed.
pub fn may_go_on(tenant: &Tenant, served_as: Access) -> Result<(), Refusal> {
    let is_over = match tenant.storage() {
        StorageStanding::Within | StorageStanding::Near | StorageStanding::Full => false,
        StorageStanding::Sealed => served_as < Access::Read,
        StorageStanding::Closed => true,
    };
    if is_over { Err(End::Sealed.refusal()) } else { Ok(()) }
}

fn is_full(limits: &Limits) -> String {
    format!(
        "the tenant's database has reached its storage quota of {} bytes and is read-only",
        limits.storage_hard_bytes
    )
}

/// Does this error of a server say that its session is read-only?
#[must_use]
pub fn is_about_read_only(code: Option<&[u8]>) -> bool {
    code == Some(SqlState::READ_ONLY_SQL_TRANSACTION.as_bytes())
}

/// Writes a notice for a client that has just logged in, if its tenant has reached a quota.
pub fn write_notice(route: &RouteRecord, out: &mut Vec<u8>) {
    let (message, hint) = match route.storage {
        // Nobody logs in to one that is closed.
        StorageStanding::Within | StorageStanding::Closed => return,
        StorageStanding::Near => (
            format!(
                "the tenant's database has reached {} bytes and is close to its storage quota",
                route.limits.storage_soft_bytes
            ),
            "delete what is not needed, or ask for a larger plan; at the quota it is read-only",
        ),
        StorageStanding::Full => (is_full(&route.limits), DELETE_HINT),
        StorageStanding::Sealed => (is_full(&route.limits), SEALED_HINT),
    };
    let notice = ErrorResponse::new(Severity::Warning, SqlState::DISK_FULL, &message);
    write::notice(out, &notice.with_hint(Some(hint)));
}

/// Ends what clients of a tenant that is sealed now still run under another role than its reading one's, and whatever those
/// of a closed one run. It does not wait for their transactions: those may be what fills the database.
pub fn end_writers(tenant: &Tenant, old: &RouteRecord, clients: &Clients) {
    let now = tenant.storage();
    if now < StorageStanding::Sealed || old.storage >= now {
        return;
    }
    let id = tenant.id();
    clients.end_those(End::Sealed, |client| {
        let may_stay = now == StorageStanding::Sealed && client.about.access == Access::Read;
        client.about.tenant.id() == id && !may_stay && client.server().is_some()
    });
}
