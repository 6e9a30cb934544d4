//! `tenantry operation`.

use crate::cli::Options;
use crate::client::{Client, escape, path};
use crate::exit::CommandError;
use crate::output::{Column, Format};
use crate::progress;
use reqwest::Method;
use serde_json::Value;
use tenancy::OperationId;

const COLUMNS: &[Column] = &[
    ("OPERATION", "/id"),
    ("KIND", "/kind"),
    ("STATE", "/state"),
    ("TENANT", "/tenant_id"),
    ("CREATED", "/created_at"),
    ("FINISHED", "/finished_at"),
];
const STEP_COLUMNS: &[Column] =
    &[("STEP", "/name"), ("STATE", "/state"), ("ATTEMPT", "/attempt"), ("FINISHED", "/finished_at")];

/// What can be done with operations.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum OperationCommand {
    /// Show one operation and its steps
    Get {
        /// Its id
        id: OperationId,
    },
    /// List operations, the newest first
    List {
        /// Only those of one tenant, by slug or id
        #[arg(long)]
        tenant: Option<String>,
        /// Only those in one state, such as running
        #[arg(long)]
        state: Option<String>,
    },
    /// Wait for an operation to end
    Watch {
        /// Its id
        id: OperationId,
    },
    /// Ask an operation to stop and undo what it did
    Cancel {
        /// Its id
        id: OperationId,
    },
}

impl OperationCommand {
    pub(crate) async fn run(self, options: &Options) -> Result<(), CommandError> {
        let client = options.client()?;
        match self {
            Self::Get { id } => {
                let operation = client.get(&path(&["operations", &id.to_string()])).await?;
                show(options.output, &operation)
            }
            Self::List { tenant, state } => {
                let operations = list(&client, tenant.as_deref(), state.as_deref()).await?;
                options.output.listing(&operations, COLUMNS, "there are no such operations")
            }
            Self::Watch { id } => {
                let operation = progress::follow(&client, &id.to_string()).await?;
                show(options.output, &operation)
            }
            Self::Cancel { id } => {
                let path = path(&["operations", &id.to_string(), "cancel"]);
                let operation = client.change(Method::POST, &path, None).await?;
                show(options.output, &operation)
            }
        }
    }
}

async fn list(
    client: &Client,
    tenant: Option<&str>,
    state: Option<&str>,
) -> Result<Vec<Value>, CommandError> {
    let filters: Vec<String> = [("tenant", tenant), ("state", state)]
        .into_iter()
        .filter_map(|(key, value)| Some(format!("{key}={}", escape(value?))))
        .collect();
    let query = if filters.is_empty() { String::new() } else { format!("?{}", filters.join("&")) };
    Ok(client.list(&(path(&["operations"]) + &query)).await?)
}

fn show(format: Format, operation: &Value) -> Result<(), CommandError> {
    format.item(operation, COLUMNS)?;
    match operation.get("steps").and_then(Value::as_array) {
        Some(steps) if format == Format::Table && !steps.is_empty() => {
            crate::output::print("\n")?;
            format.listing(steps, STEP_COLUMNS, "")
        }
        _ => Ok(()),
    }
}
