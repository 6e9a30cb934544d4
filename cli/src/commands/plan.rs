//! `tenantry plan`.

use crate::cli::Options;
use crate::client::path;
use crate::commands::limits::LimitOptions;
use crate::exit::{CommandError, Exit};
use crate::output::Column;
use reqwest::Method;
use serde_json::{Value, json};
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
        limits: LimitOptions,
    },
    /// Change a plan's limits, at once and for all tenants that have it
    Set {
        /// Its name
        name: PlanName,
        #[command(flatten)]
        limits: LimitOptions,
    },
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
                let mut body = limits.of_plan()?;
                body.insert("name".to_owned(), json!(name));
                client.change(Method::POST, &path(&["plans"]), Some(&Value::Object(body))).await?
            }
            Self::Set { name, limits } => {
                let body = limits.of_plan()?;
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
