//! What is shown of each tenant.

use crate::metrics::family::{Family, Spec, seconds};
use crate::metrics::tenants::View;
use crate::metrics::tenants::totals::Total;

static POOL_CONNECTIONS: Spec = Spec::gauge(
    "tenantry_pool_connections",
    &["tenant", "state"],
    "Server connections of the tenant's pool: in use, idle, or being opened.",
);
static POOL_SIZE: Spec = Spec::gauge(
    "tenantry_pool_size",
    &["tenant"],
    "Server connections that the tenant's plan lets this gateway use at once.",
);
static POOL_WAITING_CLIENTS: Spec =
    Spec::gauge("tenantry_pool_waiting_clients", &["tenant"], "Clients that wait for a server connection.");
static CLIENTS: Spec = Spec::gauge("tenantry_clients", &["tenant"], "Clients connected for the tenant.");
static CHECKOUTS: Spec = Spec::counter(
    "tenantry_pool_checkouts_total",
    &["tenant"],
    "Times that a client asked for a server connection, successful or not.",
);
static CHECKOUT_WAIT: Spec = Spec::counter(
    "tenantry_pool_checkout_wait_seconds_total",
    &["tenant"],
    "Time that clients waited for server connections.",
);
static TRANSACTIONS: Spec =
    Spec::counter("tenantry_transactions_total", &["tenant"], "Transactions that ended.");
static RELAY_BYTES: Spec = Spec::counter(
    "tenantry_relay_bytes_total",
    &["tenant", "direction"],
    "Bytes relayed between the tenant's clients and its server.",
);
static ERRORS: Spec = Spec::counter(
    "tenantry_errors_total",
    &["tenant", "kind"],
    "Errors that the gateway answered to the tenant's clients. A kind appears with its first error.",
);
static SERVER_ERRORS: Spec =
    Spec::counter("tenantry_server_errors_total", &["tenant"], "Errors that the tenant's server answered.");
static PINS: Spec = Spec::counter(
    "tenantry_pins_total",
    &["tenant", "reason"],
    "Clients that kept their server connection between transactions. A reason appears with its first pin.",
);
static SETTINGS_REPLAYED: Spec = Spec::counter(
    "tenantry_settings_replayed_total",
    &["tenant"],
    "Settings set or reset on a server connection for its next client.",
);
static NOTIFICATIONS: Spec = Spec::counter(
    "tenantry_notifications_total",
    &["tenant"],
    "Notifications that clients who listen were told of.",
);
static HANDOVER_RESETS: Spec = Spec::counter(
    "tenantry_handover_resets_total",
    &["tenant"],
    "Server connections discarded, or their sequences, on their way from one client to another.",
);
static SESSION_RESETS: Spec = Spec::counter(
    "tenantry_session_resets_total",
    &["tenant"],
    "Server connections that were reset at the end of a client in session mode and serve others.",
);
static EVICTIONS: Spec = Spec::counter(
    "tenantry_pool_evictions_total",
    &["tenant"],
    "Idle server connections closed to make room for others or because they were stale.",
);

/// Every family that has the label `tenant`.
pub(super) fn families(view: &View) -> Vec<Family> {
    let mut families = Vec::from(holdings(view));
    families.extend(counters(view));
    families.extend(labelled_counters(view));
    families
}

fn holdings(view: &View) -> [Family; 4] {
    let mut connections = Family::new(&POOL_CONNECTIONS);
    let mut size = Family::new(&POOL_SIZE);
    let mut waiting = Family::new(&POOL_WAITING_CLIENTS);
    let mut clients = Family::new(&CLIENTS);
    for (tenant, row) in &view.rows {
        let held = &row.holding;
        connections.push(&[tenant, "active"], held.active);
        connections.push(&[tenant, "idle"], held.idle);
        connections.push(&[tenant, "opening"], held.opening);
        size.push(&[tenant], held.pool_size);
        waiting.push(&[tenant], held.waiting);
        clients.push(&[tenant], held.clients);
    }
    [connections, size, waiting, clients]
}

fn counters(view: &View) -> Vec<Family> {
    let plain = [
        (&TRANSACTIONS, Total::Transactions),
        (&CHECKOUTS, Total::Checkouts),
        (&SERVER_ERRORS, Total::ServerErrors),
        (&EVICTIONS, Total::Evictions),
        (&SETTINGS_REPLAYED, Total::SettingsReplayed),
        (&HANDOVER_RESETS, Total::HandoverResets),
        (&NOTIFICATIONS, Total::Notifications),
        (&SESSION_RESETS, Total::SessionResets),
    ];
    let of_plain = plain.map(|(spec, total)| {
        let mut family = Family::new(spec);
        for (tenant, row) in &view.rows {
            family.push(&[tenant], row.totals.get(total));
        }
        family
    });
    let mut wait = Family::new(&CHECKOUT_WAIT);
    for (tenant, row) in &view.rows {
        wait.push(&[tenant], seconds(row.totals.get(Total::CheckoutWaitUs)));
    }
    let mut families = Vec::from(of_plain);
    families.push(wait);
    families
}

/// Rows of errors and pins that never happened are left out: most tenants would have all of them.
fn labelled_counters(view: &View) -> [Family; 3] {
    let mut bytes = Family::new(&RELAY_BYTES);
    let mut errors = Family::new(&ERRORS);
    let mut pins = Family::new(&PINS);
    for (tenant, row) in &view.rows {
        bytes.push(&[tenant, "to_server"], row.totals.get(Total::BytesToServer));
        bytes.push(&[tenant, "to_client"], row.totals.get(Total::BytesToClient));
        for (kind, count) in row.totals.errors().filter(|(_, count)| *count > 0) {
            errors.push(&[tenant, kind.as_str()], count);
        }
        for (reason, count) in row.totals.pins().filter(|(_, count)| *count > 0) {
            pins.push(&[tenant, reason.as_str()], count);
        }
    }
    [bytes, errors, pins]
}
