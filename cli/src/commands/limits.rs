//! The limits that plans and tenants have, as options of the verbs that set them.

use crate::exit::{CommandError, Exit};
use serde_json::{Map, Value, json};
use std::str::FromStr;

/// A number, or for a tenant its plan's again.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Setting {
    Number(u64),
    Plan,
}

impl FromStr for Setting {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "plan" {
            return Ok(Self::Plan);
        }
        text.parse().map(Self::Number).map_err(|_| "give a number, or for a tenant \"plan\" for the plan's")
    }
}

/// What a tenant may use.
#[derive(Debug, clap::Args)]
pub(crate) struct LimitOptions {
    /// Server connections at once, at each gateway
    #[arg(long, value_name = "COUNT")]
    pool_size: Option<Setting>,
    /// Clients at once, at each gateway
    #[arg(long, value_name = "COUNT")]
    client_limit: Option<Setting>,
    /// Clients that may wait for a server connection, at each gateway
    #[arg(long, value_name = "COUNT")]
    queue_limit: Option<Setting>,
    /// How long a client waits for a server connection before it is refused
    #[arg(long, value_name = "MILLISECONDS")]
    checkout_timeout_ms: Option<Setting>,
    /// Server connections that others take none of while the tenant wants them
    #[arg(long, value_name = "COUNT")]
    floor: Option<Setting>,
    /// What is due to it beside others when connections are short, 1 to 1000
    #[arg(long, value_name = "WEIGHT")]
    weight: Option<Setting>,
    /// Requests a second over all gateways, 0 for no limit
    #[arg(long, value_name = "COUNT")]
    requests_per_second: Option<Setting>,
    /// Requests that may come at once, 0 for as many as in a second
    #[arg(long, value_name = "COUNT")]
    request_burst: Option<Setting>,
    /// How long a statement may run, 0 for no limit
    #[arg(long, value_name = "MILLISECONDS")]
    statement_timeout_ms: Option<Setting>,
    /// How long a transaction may wait for its client, 0 for no limit
    #[arg(long, value_name = "MILLISECONDS")]
    idle_in_transaction_timeout_ms: Option<Setting>,
    /// PostgreSQL's work_mem, 0 for the server's
    #[arg(long, value_name = "KILOBYTES")]
    work_mem_kb: Option<Setting>,
    /// The result of one HTTP request, 0 for the gateway's bound
    #[arg(long, value_name = "BYTES")]
    result_bytes_max: Option<Setting>,
    /// The body of one HTTP request, 0 for the gateway's bound
    #[arg(long, value_name = "BYTES")]
    body_bytes_max: Option<Setting>,
    /// What its database may take before it is warned, 0 for never
    #[arg(long, value_name = "BYTES")]
    storage_soft_bytes: Option<Setting>,
    /// What its database may take before it is read-only, 0 for no limit
    #[arg(long, value_name = "BYTES")]
    storage_hard_bytes: Option<Setting>,
}

impl LimitOptions {
    /// Those that are given, as a tenant's: null is the plan's.
    pub(crate) fn of_tenant(&self) -> Map<String, Value> {
        let value = |setting| match setting {
            Setting::Number(number) => json!(number),
            Setting::Plan => Value::Null,
        };
        self.given().map(|(name, setting)| (name.to_owned(), value(setting))).collect()
    }

    /// Those that are given, as a plan's own.
    pub(crate) fn of_plan(&self) -> Result<Map<String, Value>, CommandError> {
        let number = |(name, setting): (&str, Setting)| match setting {
            Setting::Number(number) => Ok((name.to_owned(), json!(number))),
            Setting::Plan => Err(CommandError::new(Exit::Usage, format!("{name} of a plan is a number"))),
        };
        self.given().map(number).collect()
    }

    fn given(&self) -> impl Iterator<Item = (&'static str, Setting)> {
        let all = [
            ("pool_size", self.pool_size),
            ("client_limit", self.client_limit),
            ("queue_limit", self.queue_limit),
            ("checkout_timeout_ms", self.checkout_timeout_ms),
            ("floor", self.floor),
            ("weight", self.weight),
            ("requests_per_second", self.requests_per_second),
            ("request_burst", self.request_burst),
            ("statement_timeout_ms", self.statement_timeout_ms),
            ("idle_in_transaction_timeout_ms", self.idle_in_transaction_timeout_ms),
            ("work_mem_kb", self.work_mem_kb),
            ("result_bytes_max", self.result_bytes_max),
            ("body_bytes_max", self.body_bytes_max),
            ("storage_soft_bytes", self.storage_soft_bytes),
            ("storage_hard_bytes", self.storage_hard_bytes),
        ];
        all.into_iter().filter_map(|(name, setting)| Some((name, setting?)))
    }
}
