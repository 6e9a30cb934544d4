use super::*;
use crate::cancel::CancelOutcome;
use crate::metrics::TenantUsage;
use crate::metrics::tenants::totals::Totals;
use crate::metrics::tenants::{Holding, Sample};
use crate::pool::allocator::Holdings;
use crate::pool::cluster::Turnover;
use crate::relay::pin::PinReason;
use budget_families::BudgetReading;
use login_families::LoginReading;
use readings::{ClusterReading, ProcessReading, TlsReading};
use share_families::ShareReading;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;
use tenancy::{ErrorKind, TenantId};
use uuid::Uuid;

fn tenant(number: u8) -> Sample {
    let usage = TenantUsage::new("");
    usage.transactions.add(u64::from(number) * 10);
    usage.bytes_to_server.add(1_000);
    usage.bytes_to_client.add(2_000);
    usage.checked_out(Duration::from_micros(300));
    usage.checked_out(Duration::from_secs(60));
    usage.evictions.inc();
    usage.server_errors.inc();
    usage.refused(ErrorKind::QueueFull);
    usage.pinned(PinReason::Listen);
    Sample {
        id: TenantId::from(Uuid::from_u128(u128::from(number))),
        label: format!("tenant-{number}").into(),
        holding: Holding { active: 1, idle: 2, opening: 3, pool_size: 20, waiting: 4, clients: 5 },
        totals: (&Totals::read(&usage)).into(),
    }
}

fn cluster(connections: u64) -> ClusterReading {
    ClusterReading { name: "eu-1".to_owned(), connections, budget: 20, waiting: 1 }
}

fn logins() -> LoginReading {
    LoginReading {
        name: "eu-1".to_owned(),
        state: 3,
        under_way: 1,
        transitions: [4, 2, 1],
        refused: 50,
        ended: [9, 8],
    }
}

/// Something of everything, and more tenants than have room.
fn full() -> Readings {
    Readings {
        tenants: (1..=4).map(tenant).collect(),
        clusters: vec![cluster(7)],
        logins: vec![logins(), logins()],
        budgets: BudgetReading(vec![(
            "eu-1".to_owned(),
            Holdings { long: [1, 2, 0], long_limit: 9, ..Holdings::default() },
            Turnover { grants: 7, evictions: [3, 0, 0, 0], yields: [0, 4, 0, 0] },
        )]),
        shares: ShareReading { clusters: vec![("eu-1".to_owned(), 12)], age: Some(0.5), fallbacks: 2 },
        console: Default::default(),
        rates: Default::default(),
        tokens: Default::default(),
        http: Default::default(),
        tls: Some(TlsReading {
            handshakes: [5, 2],
            reloads: [1, 0],
            certificates: vec![("db.crt".to_owned(), 1_800_000_000), ("db.crt".to_owned(), 1_800_000_000)],
        }),
        process: ProcessReading {
            clients: 3,
            client_limit: 10_000,
            refusals: vec![(ErrorKind::Unauthenticated, 2), (ErrorKind::Internal, 0)],
            cancels: vec![(CancelOutcome::Unknown, 0)],
            catalog_connected: true,
            revision_applied: 42,
            ..ProcessReading::default()
        },
    }
}

fn lines_of(text: &str) -> Vec<&str> {
    text.lines().collect()
}

#[test]
fn what_was_counted_is_shown() {
    let text = GatewayMetrics::over(2, full).render();
    let lines = lines_of(&text);
    for line in [
        r#"tenantry_tls_handshakes_total{result="failed"} 2"#,
        r#"tenantry_tls_reloads_total{result="succeeded"} 1"#,
        r#"tenantry_tls_certificate_expiry_timestamp_seconds{cert_file="db.crt"} 1800000000"#,
        r#"tenantry_cluster_breaker_state{cluster="eu-1"} 3"#,
        r#"tenantry_cluster_breaker_transitions_total{cluster="eu-1",to="open"} 4"#,
        r#"tenantry_cluster_breaker_refusals_total{cluster="eu-1"} 100"#,
        r#"tenantry_cluster_logins_under_way{cluster="eu-1"} 2"#,
        r#"tenantry_cluster_logins_total{cluster="eu-1",result="failed"} 16"#,
        r#"tenantry_pool_connections{tenant="tenant-1",state="active"} 1"#,
        r#"tenantry_pool_connections{tenant="_other",state="idle"} 4"#,
        r#"tenantry_pool_size{tenant="tenant-2"} 20"#,
        r#"tenantry_pool_waiting_clients{tenant="tenant-2"} 4"#,
        r#"tenantry_clients{tenant="tenant-2"} 5"#,
        r#"tenantry_transactions_total{tenant="tenant-2"} 20"#,
        r#"tenantry_transactions_total{tenant="_other"} 70"#,
        r#"tenantry_pool_checkouts_total{tenant="tenant-1"} 2"#,
        r#"tenantry_pool_checkout_wait_seconds_total{tenant="tenant-1"} 60.0003"#,
        r#"tenantry_relay_bytes_total{tenant="tenant-1",direction="to_client"} 2000"#,
        r#"tenantry_errors_total{tenant="tenant-1",kind="queue_full"} 1"#,
        r#"tenantry_server_errors_total{tenant="tenant-1"} 1"#,
        r#"tenantry_pins_total{tenant="tenant-1",reason="listen"} 1"#,
        r#"tenantry_pool_evictions_total{tenant="_other"} 2"#,
        r#"tenantry_cluster_connections{cluster="eu-1"} 7"#,
        r#"tenantry_cluster_connection_budget{cluster="eu-1"} 20"#,
        r#"tenantry_cluster_share{cluster="eu-1"} 12"#,
        r#"tenantry_cluster_long_held_connections{cluster="eu-1",kind="pinned"} 2"#,
        r#"tenantry_cluster_long_held_limit{cluster="eu-1"} 9"#,
        r#"tenantry_cluster_grants_total{cluster="eu-1"} 7"#,
        r#"tenantry_cluster_evictions_total{cluster="eu-1",reason="share"} 3"#,
        r#"tenantry_cluster_yields_total{cluster="eu-1",reason="turn"} 4"#,
        "tenantry_shares_age_seconds 0.5",
        "tenantry_share_fallbacks_total 2",
        r#"tenantry_cluster_waiting_checkouts{cluster="eu-1"} 1"#,
        "tenantry_gateway_clients 3",
        "tenantry_gateway_client_limit 10000",
        r#"tenantry_gateway_cancels_total{result="unknown"} 0"#,
        "tenantry_gateway_out_of_sync_total 0",
        r#"tenantry_gateway_refusals_total{kind="unauthenticated"} 2"#,
        r#"tenantry_gateway_checkout_wait_seconds_bucket{le="0.0001"} 0"#,
        r#"tenantry_gateway_checkout_wait_seconds_bucket{le="0.0005"} 4"#,
        r#"tenantry_gateway_checkout_wait_seconds_bucket{le="30"} 4"#,
        r#"tenantry_gateway_checkout_wait_seconds_bucket{le="+Inf"} 8"#,
        "tenantry_gateway_checkout_wait_seconds_count 8",
        "tenantry_catalog_connected 1",
        "tenantry_catalog_revision_applied 42",
        "tenantry_metrics_tenants_exact 2",
        "tenantry_metrics_tenants_folded 2",
    ] {
        assert!(lines.contains(&line), "missing: {line}\n{text}");
    }
}

#[test]
fn every_family_is_documented() {
    let text = GatewayMetrics::over(2, full).render();
    let documented = include_str!("../../../../docs/metrics.md");
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE tenantry_"));
    for family in families.filter_map(|line| line.split(' ').next()) {
        assert!(
            documented.contains(&format!("`tenantry_{family}`")),
            "docs/metrics.md lacks tenantry_{family}"
        );
    }
}

#[test]
fn what_never_happened_has_no_row_when_its_label_could_take_many_values() {
    let text = GatewayMetrics::over(2, full).render();
    assert!(!text.contains(r#"kind="internal""#));
    assert!(!text.contains(r#"reason="setting""#));
}

#[test]
fn no_series_appears_twice() {
    let doubled = || Readings { clusters: vec![cluster(1), cluster(2)], ..full() };
    let text = GatewayMetrics::over(2, doubled).render();
    let mut series: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' ').map(|(name, _)| name))
        .collect();
    let all = series.len();
    series.sort_unstable();
    series.dedup();
    assert_eq!(series.len(), all);
    assert!(text.contains(r#"tenantry_cluster_connections{cluster="eu-1"} 3"#));
}

#[test]
fn a_gateway_without_tenants_shows_itself() {
    let text = GatewayMetrics::over(500, Readings::default).render();
    assert!(text.contains("tenantry_build_info{version="));
    assert!(text.contains("process_resident_memory_bytes"));
    assert!(!text.contains("{tenant="), "{text}");
}

/// What `promtool check metrics` says of the text; `None` when it is not installed (Debian: `prometheus`).
fn promtool(text: &str) -> Option<(bool, String)> {
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(text.as_bytes()).expect("promtool reads all of its input");
    drop(stdin);
    let output = child.wait_with_output().expect("promtool ends");
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn promtool_finds_nothing_to_complain_of() {
    for metrics in [GatewayMetrics::over(2, full), GatewayMetrics::over(2, Readings::default)] {
        let text = metrics.render();
        match promtool(&text) {
            Some((good, said)) => assert!(good && said.is_empty(), "{said}\n{text}"),
            None => println!("skipped: there is no promtool here"),
        }
    }
}
