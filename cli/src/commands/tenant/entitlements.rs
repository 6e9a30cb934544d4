//! `tenantry tenant entitlements` and `set-entitlements`: what a tenant may use, and its own in place of its plan's.

use crate::client::{Client, path};
use crate::commands::limits::LimitOptions;
use crate::exit::{CommandError, Exit};
use crate::output::{Column, Format};
use reqwest::Method;
use serde_json::{Value, json};

const FIELDS: &[Column] = &[
    ("Plan", "/plan"),
    ("Pool size", "/entitlements/pool_size/value"),
    ("Client limit", "/entitlements/client_limit/value"),
    ("Queue limit", "/entitlements/queue_limit/value"),
    ("Check-out time-out, ms", "/entitlements/checkout_timeout_ms/value"),
    ("Floor", "/entitlements/floor/value"),
    ("Weight", "/entitlements/weight/value"),
    ("Requests a second", "/entitlements/requests_per_second/value"),
    ("Request burst", "/entitlements/request_burst/value"),
    ("Statement time-out, ms", "/entitlements/statement_timeout_ms/value"),
    ("Idle in transaction, ms", "/entitlements/idle_in_transaction_timeout_ms/value"),
    ("work_mem, kB", "/entitlements/work_mem_kb/value"),
    ("Result, bytes", "/entitlements/result_bytes_max/value"),
    ("Body, bytes", "/entitlements/body_bytes_max/value"),
    ("Storage soft, bytes", "/entitlements/storage_soft_bytes/value"),
    ("Storage hard, bytes", "/entitlements/storage_hard_bytes/value"),
    ("Storage used, bytes", "/storage/bytes"),
    ("Storage measured", "/storage/measured_at"),
    ("Storage standing", "/storage/standing"),
    ("Own", "/shown_own"),
];

/// What the tenant may use in place of what its plan says; `plan` for the plan's again.
#[derive(Debug, clap::Args)]
pub(crate) struct SetEntitlements {
    /// Its slug or id
    tenant: String,
    #[command(flatten)]
    limits: LimitOptions,
}

impl SetEntitlements {
    pub(super) async fn run(self, client: &Client, format: Format) -> Result<(), CommandError> {
        let body = self.limits.of_tenant();
        if body.is_empty() {
            return Err(CommandError::new(Exit::Usage, "there is nothing to change").hint("see --help"));
        }
        let path = path(&["tenants", &self.tenant, "entitlements"]);
        tell(client.change(Method::PATCH, &path, Some(&Value::Object(body))).await?, format)
    }
}

pub(super) async fn show(client: &Client, format: Format, tenant: &str) -> Result<(), CommandError> {
    tell(client.get(&path(&["tenants", tenant, "entitlements"])).await?, format)
}

fn tell(mut shown: Value, format: Format) -> Result<(), CommandError> {
    if format == Format::Table {
        let all = shown["entitlements"].as_object().into_iter().flatten();
        let own: Vec<&str> =
            all.filter(|(_, value)| value["source"] == "override").map(|(name, _)| name.as_str()).collect();
        shown["shown_own"] = if own.is_empty() { Value::Null } else { json!(own) };
    }
    format.item(&shown, FIELDS)
}
