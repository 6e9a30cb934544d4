//! `tenantry plan`.

use crate::cli::Options;
use crate::client::path;
use crate::exit::{CommandError, Exit};
use crate::output::Column;
use reqwest::Method;
use serde_json::{Map, Value, json};
use tenancy::PlanName;

const COLUMNS: &[Column] = &[
    ("PLAN", "/name"),
    ("POOL", "/pool_size"),
    ("CLIENTS", "/client_limit"),
    ("QUEUE", "/queue_limit"),
    ("TIMEOUT_MS", "/checkout_timeout_ms"),
    ("FLOOR", "/floor"),
    ("WEIGHT", "/weight"),
];

/// What can be done with plans.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum PlanCommand {
    /// List all plans
    List,
    /// Show one plan
    Get {
        /// Its name
        name: PlanName,
    },
    /// Add a plan
    Create {
        /// The name to give it
        name: PlanName,
        #[command(flatten)]
        limits: Limits,
    },
    /// Change a plan's limits, at once and for all tenants that have it
    Set {
        /// Its name
        name: PlanName,
        #[command(flatten)]
        limits: Limits,
    },
}

/// What a plan allows a tenant, at each gateway.
#[derive(Debug, clap::Args)]
pub(crate) struct Limits {
    /// Server connections at once
    #[arg(long, value_name = "COUNT")]
    pool_size: Option<u32>,
    /// Clients at once
    #[arg(long, value_name = "COUNT")]
    client_limit: Option<u32>,
    /// Clients that may wait for a server connection
    #[arg(long, value_name = "COUNT")]
    queue_limit: Option<u32>,
    /// How long a client waits for a server connection before it is refused
    #[arg(long, value_name = "MILLISECONDS")]
    checkout_timeout_ms: Option<u32>,
    /// Server connections that others take none of while the tenant wants them
    #[arg(long, value_name = "COUNT")]
    floor: Option<u32>,
    /// What is due to it beside others when connections are short, 1 to 1000
    #[arg(long, value_name = "WEIGHT")]
    weight: Option<u32>,
}

impl Limits {
    fn fields(&self) -> Map<String, Value> {
        let all = [
            ("pool_size", self.pool_size),
            ("client_limit", self.client_limit),
            ("queue_limit", self.queue_limit),
            ("checkout_timeout_ms", self.checkout_timeout_ms),
            ("floor", self.floor),
            ("weight", self.weight),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))).collect()
    }
}

impl PlanCommand {
    pub(crate) async fn run(self, options: &Options) -> Result<(), CommandError> {
        let client = options.client()?;
        let plan = match self {
            Self::List => {
                let plans = client.list(&path(&["plans"])).await?;
                return options.output.listing(&plans, COLUMNS, "there are no plans");
            }
            Self::Get { name } => client.get(&path(&["plans", name.as_str()])).await?,
            Self::Create { name, limits } => {
                let mut body = limits.fields();
                body.insert("name".to_owned(), json!(name));
                client.change(Method::POST, &path(&["plans"]), Some(&Value::Object(body))).await?
            }
            Self::Set { name, limits } => {
                let body = limits.fields();
                if body.is_empty() {
                    return Err(
                        CommandError::new(Exit::Usage, "there is nothing to change").hint("see --help")
                    );
                }
                let path = path(&["plans", name.as_str()]);
                client.change(Method::PATCH, &path, Some(&Value::Object(body))).await?
            }
        };
        options.output.item(&plan, COLUMNS)
    }
}
