//! `tenantry tenant limits` and `set-limits`: a tenant's own in place of its plan's.

use crate::client::{Client, path};
use crate::exit::{CommandError, Exit};
use crate::output::{Column, Format};
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::str::FromStr;

const FIELDS: &[Column] = &[
    ("Plan", "/plan"),
    ("Pool size", "/limits/pool_size"),
    ("Client limit", "/limits/client_limit"),
    ("Queue limit", "/limits/queue_limit"),
    ("Check-out time-out, ms", "/limits/checkout_timeout_ms"),
    ("Floor", "/limits/floor"),
    ("Weight", "/limits/weight"),
    ("Own", "/shown_own"),
];

/// A limit of the tenant's own, or its plan's again.
#[derive(Debug, Clone, Copy)]
struct Own(Option<u32>);

impl FromStr for Own {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "plan" {
            return Ok(Self(None));
        }
        text.parse().map(|limit| Self(Some(limit))).map_err(|_| "give a number, or \"plan\" for the plan's")
    }
}

/// Limits of the tenant's own, at each gateway; `plan` for the plan's again.
#[derive(Debug, clap::Args)]
pub(crate) struct SetLimits {
    /// Its slug or id
    tenant: String,
    /// Server connections at once
    #[arg(long, value_name = "COUNT|plan")]
    pool_size: Option<Own>,
    /// Clients at once
    #[arg(long, value_name = "COUNT|plan")]
    client_limit: Option<Own>,
    /// Clients that may wait for a server connection
    #[arg(long, value_name = "COUNT|plan")]
    queue_limit: Option<Own>,
    /// How long a client waits for a server connection before it is refused
    #[arg(long, value_name = "MILLISECONDS|plan")]
    checkout_timeout_ms: Option<Own>,
    /// Server connections that others take none of while it wants them
    #[arg(long, value_name = "COUNT|plan")]
    floor: Option<Own>,
    /// What is due to it beside others when connections are short, 1 to 1000
    #[arg(long, value_name = "WEIGHT|plan")]
    weight: Option<Own>,
}

impl SetLimits {
    pub(super) async fn run(self, client: &Client, format: Format) -> Result<(), CommandError> {
        let all = [
            ("pool_size", self.pool_size),
            ("client_limit", self.client_limit),
            ("queue_limit", self.queue_limit),
            ("checkout_timeout_ms", self.checkout_timeout_ms),
            ("floor", self.floor),
            ("weight", self.weight),
        ];
        let given = |(name, own): (&str, Option<Own>)| Some((name.to_owned(), json!(own?.0)));
        let body: Map<String, Value> = all.into_iter().filter_map(given).collect();
        if body.is_empty() {
            return Err(CommandError::new(Exit::Usage, "there is nothing to change").hint("see --help"));
        }
        let path = path(&["tenants", &self.tenant, "limits"]);
        let limits = client.change(Method::PATCH, &path, Some(&Value::Object(body))).await?;
        tell(limits, format)
    }
}

pub(super) async fn show(client: &Client, format: Format, tenant: &str) -> Result<(), CommandError> {
    tell(client.get(&path(&["tenants", tenant, "limits"])).await?, format)
}

fn tell(mut limits: Value, format: Format) -> Result<(), CommandError> {
    if format == Format::Table {
        let own = limits["own"].as_object().into_iter().flatten();
        let own: Vec<&str> =
            own.filter(|(_, value)| !value.is_null()).map(|(name, _)| name.as_str()).collect();
        limits["shown_own"] = if own.is_empty() { Value::Null } else { json!(own) };
    }
    format.item(&limits, FIELDS)
}
