//! What is shown of clusters and of the gateway itself.

use super::readings::{PreparedReading, ProcessReading, Readings};
use crate::metrics::anomalies::AnomalyCount;
use crate::metrics::family::{Family, Spec, seconds};
use crate::metrics::tenants::View;
use crate::metrics::tenants::totals::Total;
use crate::metrics::usage::WAIT_BOUNDS_US;
use crate::relay::notify::hub::HubReading;
use std::collections::BTreeMap;

static CLUSTER_CONNECTIONS: Spec = Spec::gauge(
    "tenantry_cluster_connections",
    &["cluster"],
    "Server connections of this gateway to the cluster: open, being opened or being closed.",
);
static CLUSTER_BUDGET: Spec = Spec::gauge(
    "tenantry_cluster_connection_budget",
    &["cluster"],
    "Server connections to the cluster that all gateways may hold together.",
);
static CLUSTER_WAITING: Spec = Spec::gauge(
    "tenantry_cluster_waiting_checkouts",
    &["cluster"],
    "Check-outs that wait because the cluster's connection budget is spent.",
);
static CLIENTS: Spec = Spec::gauge(
    "tenantry_gateway_clients",
    &[],
    "Clients connected, whether or not they have logged in yet.",
);
static CLIENT_LIMIT: Spec =
    Spec::gauge("tenantry_gateway_client_limit", &[], "Clients that may be connected at once.");
static PG_CONNECTIONS: Spec = Spec::counter(
    "tenantry_gateway_pg_connections_total",
    &[],
    "Connections accepted on the PostgreSQL listener.",
);
static HTTP_REQUESTS: Spec =
    Spec::counter("tenantry_gateway_http_requests_total", &[], "Requests on the HTTP listener.");
static WEBSOCKETS: Spec =
    Spec::counter("tenantry_gateway_websockets_total", &[], "WebSockets opened on the HTTP listener.");
static CANCELS: Spec =
    Spec::counter("tenantry_gateway_cancels_total", &["result"], "Cancel requests, by what came of them.");
static OUT_OF_SYNC: Spec = Spec::counter(
    "tenantry_gateway_out_of_sync_total",
    &[],
    "Server connections closed because a reply was not the one due. Anything but zero is a bug.",
);
static REFUSALS: Spec = Spec::counter(
    "tenantry_gateway_refusals_total",
    &["kind"],
    "Clients refused before they had proved that they belong to a tenant.",
);
static ANOMALIES: Spec = Spec::counter(
    "tenantry_cross_tenant_anomalies_total",
    &["listener", "first", "second"],
    "Clients refused because two places named different tenants, by the place that was looked up and the one that disagreed with it.",
);
static WITHDRAWN: Spec = Spec::counter(
    "tenantry_gateway_withdrawn_clients_total",
    &[],
    "Clients ended because what they came in by was revoked or has expired.",
);
static SHUT_OUT: Spec = Spec::counter(
    "tenantry_gateway_shut_out_clients_total",
    &[],
    "Clients ended because their tenant's allow list has their address no more.",
);
static FEATURES: Spec = Spec::gauge(
    "tenantry_gateway_features",
    &[],
    "Features that this gateway knows; there are 1,000 at most.",
);
static USES_DROPPED: Spec = Spec::counter(
    "tenantry_credential_uses_dropped_total",
    &[],
    "Uses of credentials that the catalog was not told of, because too many waited.",
);
static CHECKOUT_WAIT: Spec = Spec::histogram(
    "tenantry_gateway_checkout_wait_seconds",
    "How long clients of all tenants waited for a server connection.",
);
static LISTEN_CONNECTIONS: Spec = Spec::gauge(
    "tenantry_listen_connections",
    &[],
    "Server connections that listen for clients that keep none.",
);
static LISTEN_CLIENTS: Spec =
    Spec::gauge("tenantry_listen_clients", &[], "Clients that listen and keep no server connection.");
static LISTEN_CHANNELS: Spec = Spec::gauge(
    "tenantry_listen_channels",
    &[],
    "Channels that clients without a server connection listen to, each counted once a pool.",
);
static PREPARED: Spec =
    Spec::gauge("tenantry_prepared_statements", &[], "Distinct prepared statements that the gateway knows.");
static PREPARED_BYTES: Spec =
    Spec::gauge("tenantry_prepared_bytes", &[], "Memory that the prepared statements known take.");
static PREPARED_HITS: Spec = Spec::counter(
    "tenantry_prepared_hits_total",
    &[],
    "Uses of a prepared statement that the leased server connection had.",
);
static PREPARED_MISSES: Spec = Spec::counter(
    "tenantry_prepared_misses_total",
    &[],
    "Uses for which the statement had to be prepared on the server connection.",
);
static PREPARED_EVICTIONS: Spec = Spec::counter(
    "tenantry_prepared_evictions_total",
    &["from"],
    "Statements forgotten by a pool, or closed on a server connection, to make room.",
);
static PREPARED_HEALS: Spec = Spec::counter(
    "tenantry_prepared_heals_total",
    &[],
    "Requests made again because a statement on the server had grown out of date.",
);
static ROUTE_ENTRIES: Spec =
    Spec::gauge("tenantry_route_cache_entries", &[], "Tenants whose routes are cached.");
static ROUTE_HITS: Spec =
    Spec::counter("tenantry_route_cache_hits_total", &[], "Tenant lookups answered from the cache.");
static ROUTE_MISSES: Spec =
    Spec::counter("tenantry_route_cache_misses_total", &[], "Tenant lookups that had to ask the catalog.");

static ROUTE_EVICTIONS: Spec = Spec::counter(
    "tenantry_route_cache_evictions_total",
    &[],
    "Tenants that nobody was connected for, forgotten to make room for others.",
);
static REVISION: Spec = Spec::gauge(
    "tenantry_catalog_revision_applied",
    &[],
    "The last catalog revision whose changes are in force here.",
);
static CATALOG_CONNECTED: Spec =
    Spec::gauge("tenantry_catalog_connected", &[], "1 while the catalog can be reached, else 0.");
static BUILD_INFO: Spec =
    Spec::gauge("tenantry_build_info", &["version"], "Always 1; the version is a label.");
static TENANTS_EXACT: Spec =
    Spec::gauge("tenantry_metrics_tenants_exact", &[], "Tenants that have series of their own.");
static SERIES_FOLDED: Spec = Spec::gauge(
    "tenantry_metrics_tenants_folded",
    &[],
    "Tenants whose series are summed under tenant=\"_other\".",
);

/// Every family without the label `tenant`.
pub(super) fn families(readings: &Readings, view: &View) -> Vec<Family> {
    let mut families = Vec::from(clusters(readings));
    families.extend(clients(&readings.process));
    families.extend(listening(&readings.process.listening));
    families.extend(prepared(&readings.process.prepared));
    families.extend(catalog(&readings.process));
    families.extend(metrics_itself(view));
    families
}

fn clusters(readings: &Readings) -> [Family; 3] {
    // A name may pass from one cluster to another; a series must not appear twice.
    let mut by_name: BTreeMap<&str, [u64; 3]> = BTreeMap::new();
    for cluster in &readings.clusters {
        let sums = by_name.entry(&cluster.name).or_default();
        let values = [cluster.connections, cluster.budget, cluster.waiting];
        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }
    let mut families = [&CLUSTER_CONNECTIONS, &CLUSTER_BUDGET, &CLUSTER_WAITING].map(Family::new);
    for (name, sums) in by_name {
        families.iter_mut().zip(sums).for_each(|(family, sum)| family.push(&[name], sum));
    }
    families
}

fn clients(process: &ProcessReading) -> [Family; 13] {
    let mut cancels = Family::new(&CANCELS);
    for (outcome, count) in &process.cancels {
        cancels.push(&[outcome.as_str()], *count);
    }
    let mut refusals = Family::new(&REFUSALS);
    for (kind, count) in process.refusals.iter().filter(|(_, count)| *count > 0) {
        refusals.push(&[kind.as_str()], *count);
    }
    [
        Family::new(&CLIENTS).row(&[], process.clients),
        Family::new(&CLIENT_LIMIT).row(&[], process.client_limit),
        Family::new(&PG_CONNECTIONS).row(&[], process.pg_connections),
        Family::new(&HTTP_REQUESTS).row(&[], process.http_requests),
        Family::new(&WEBSOCKETS).row(&[], process.websockets),
        cancels,
        Family::new(&OUT_OF_SYNC).row(&[], process.out_of_sync),
        refusals,
        anomalies(&process.anomalies),
        Family::new(&WITHDRAWN).row(&[], process.withdrawn_clients),
        Family::new(&SHUT_OUT).row(&[], process.shut_out_clients),
        Family::new(&FEATURES).row(&[], process.features),
        Family::new(&USES_DROPPED).row(&[], process.uses_dropped),
    ]
}

/// Each pair has a series from the start, or an alert on its rise would miss the first one.
fn anomalies(counts: &[AnomalyCount]) -> Family {
    let mut family = Family::new(&ANOMALIES);
    for pair in counts {
        family.push(&[pair.listener.as_str(), pair.first.as_str(), pair.second.as_str()], pair.count);
    }
    family
}

fn listening(listening: &HubReading) -> [Family; 3] {
    [
        Family::new(&LISTEN_CONNECTIONS).row(&[], listening.connections),
        Family::new(&LISTEN_CLIENTS).row(&[], listening.clients),
        Family::new(&LISTEN_CHANNELS).row(&[], listening.channels),
    ]
}

fn prepared(prepared: &PreparedReading) -> [Family; 6] {
    [
        Family::new(&PREPARED).row(&[], prepared.statements),
        Family::new(&PREPARED_BYTES).row(&[], prepared.bytes),
        Family::new(&PREPARED_HITS).row(&[], prepared.hits),
        Family::new(&PREPARED_MISSES).row(&[], prepared.misses),
        Family::new(&PREPARED_EVICTIONS).row(&["pool"], prepared.forgotten).row(&["server"], prepared.closed),
        Family::new(&PREPARED_HEALS).row(&[], prepared.healed),
    ]
}

fn catalog(process: &ProcessReading) -> [Family; 6] {
    [
        Family::new(&ROUTE_ENTRIES).row(&[], process.route_cache_entries),
        Family::new(&ROUTE_HITS).row(&[], process.route_cache_hits),
        Family::new(&ROUTE_MISSES).row(&[], process.route_cache_misses),
        Family::new(&ROUTE_EVICTIONS).row(&[], process.route_cache_evictions),
        Family::new(&REVISION).row(&[], process.revision_applied),
        Family::new(&CATALOG_CONNECTED).row(&[], process.catalog_connected),
    ]
}

fn metrics_itself(view: &View) -> [Family; 4] {
    let count = |tenants: usize| u64::try_from(tenants).unwrap_or(u64::MAX);
    let waited = seconds(view.all.get(Total::CheckoutWaitUs));
    [
        Family::new(&CHECKOUT_WAIT).distribution(WAIT_BOUNDS_US.map(seconds), view.all.waits(), waited),
        Family::new(&BUILD_INFO).row(&[env!("CARGO_PKG_VERSION")], 1u64),
        Family::new(&TENANTS_EXACT).row(&[], count(view.exact)),
        Family::new(&SERIES_FOLDED).row(&[], count(view.folded)),
    ]
}
