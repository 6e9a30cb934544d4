//! What a tenant hears whose database has reached a quota.
//!
//! The server refuses the writes: sessions of a full tenant begin read-only, and those of a sealed one are its reading
//! role's. Here is only what it is told, and that what a sealed one still runs is ended.

use crate::clients::{Clients, End};
use crate::error::Refusal;
use crate::resolve::Tenant;
use catalog_schema::RouteRecord;
use pgwire::backend::write;
use pgwire::{ErrorResponse, Severity, SqlState};
use tenancy::{Access, ErrorKind, Limits, StorageStanding, TenantId};

const DELETE_HINT: &str = "delete what is not needed in a transaction that begins with SET TRANSACTION READ WRITE, \
     give the space back with TRUNCATE, DROP or VACUUM FULL, or ask for a larger plan";

/// In place of a server's "cannot execute … in a read-only transaction".
#[must_use]
pub fn refusal(limits: &Limits) -> Refusal {
    Refusal::new(ErrorKind::StorageFull, is_full(limits)).hint(DELETE_HINT)
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
        StorageStanding::Within => return,
        StorageStanding::Near => (
            format!(
                "the tenant's database has reached {} bytes and is close to its storage quota",
                route.limits.storage_soft_bytes
            ),
            "delete what is not needed, or ask for a larger plan; at the quota it is read-only",
        ),
        StorageStanding::Full => (is_full(&route.limits), DELETE_HINT),
        StorageStanding::Sealed => (
            is_full(&route.limits),
            "it went on growing beyond the quota, so nothing can be written or deleted; ask for a larger plan",
        ),
    };
    let notice = ErrorResponse::new(Severity::Warning, SqlState::DISK_FULL, &message);
    write::notice(out, &notice.with_hint(Some(hint)));
}

/// Ends what clients of a tenant that is sealed now still run under another role than its reading one's. It does not wait
/// for their transactions: those may be what fills the database.
pub fn end_writers(tenant: &Tenant, old: &RouteRecord, clients: &Clients) {
    let is_new = old.storage != StorageStanding::Sealed;
    if is_new && tenant.route().storage == StorageStanding::Sealed {
        end_of(tenant.id(), clients);
    }
}

fn end_of(tenant: TenantId, clients: &Clients) {
    clients.end_those(End::Sealed, |client| {
        client.about.tenant.id() == tenant && client.about.access < Access::Read && client.server().is_some()
    });
}
