//! `tenantry tenant`.

mod create;
mod delete;
mod entitlements;
mod rename;

use crate::cli::Options;
use crate::client::{Client, path};
use crate::exit::{CommandError, Exit};
use crate::output::{Column, Format};
use crate::progress;
use create::Create;
use delete::Delete;
use entitlements::SetEntitlements;
use rename::Rename;
use reqwest::Method;
use serde_json::Value;

const COLUMNS: &[Column] = &[
    ("TENANT", "/slug"),
    ("STATE", "/state"),
    ("REGION", "/region"),
    ("PLAN", "/plan"),
    ("ISOLATION", "/isolation"),
    ("CREATED", "/created_at"),
];
const FIELDS: &[Column] = &[
    ("Tenant", "/slug"),
    ("Id", "/id"),
    ("Name", "/display_name"),
    ("State", "/state"),
    ("Region", "/region"),
    ("Allowed regions", "/allowed_regions"),
    ("Plan", "/plan"),
    ("Isolation", "/isolation"),
    ("Created", "/created_at"),
];

/// What can be done with tenants.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum TenantCommand {
    /// Create a tenant with a database of its own, and print how to reach it
    Create(Create),
    /// List all tenants
    List,
    /// Show one tenant
    Get {
        /// Its slug or id
        tenant: String,
    },
    /// Refuse a tenant's clients; its data is kept
    Suspend {
        /// Its slug or id
        tenant: String,
        /// Return at once instead of waiting until it is suspended
        #[arg(long)]
        no_wait: bool,
    },
    /// Let a suspended tenant's clients in again
    Resume {
        /// Its slug or id
        tenant: String,
        /// Return at once instead of waiting until it is served
        #[arg(long)]
        no_wait: bool,
    },
    /// Show what a tenant may use, where each value comes from, and what it uses of its storage
    Entitlements {
        /// Its slug or id
        tenant: String,
    },
    /// Give a tenant another slug; the old one leads to it for a while
    Rename(Rename),
    /// Let a tenant use more or less than its plan says, at once
    SetEntitlements(SetEntitlements),
    /// Delete a tenant: its database is dropped, and there is no way back
    Delete(Delete),
}

impl TenantCommand {
    pub(crate) async fn run(self, options: &Options) -> Result<(), CommandError> {
        let client = options.client()?;
        match self {
            Self::Create(create) => create.run(&client, options.output).await,
            Self::List => {
                let tenants = client.list(&path(&["tenants"])).await?;
                options.output.listing(&tenants, COLUMNS, "there are no tenants")
            }
            Self::Get { tenant } => {
                let tenant = client.get(&path(&["tenants", &tenant])).await?;
                options.output.item(&tenant, FIELDS)
            }
            Self::Suspend { tenant, no_wait } => {
                change_state(&client, options.output, &tenant, "suspend", no_wait).await
            }
            Self::Resume { tenant, no_wait } => {
                change_state(&client, options.output, &tenant, "resume", no_wait).await
            }
            Self::Entitlements { tenant } => entitlements::show(&client, options.output, &tenant).await,
            Self::Rename(rename) => rename.run(&client, options.output).await,
            Self::SetEntitlements(set) => set.run(&client, options.output).await,
            Self::Delete(delete) => delete.run(&client, options.output).await,
        }
    }
}

async fn change_state(
    client: &Client,
    format: Format,
    tenant: &str,
    verb: &str,
    no_wait: bool,
) -> Result<(), CommandError> {
    let started = client.change(Method::POST, &path(&["tenants", tenant, verb]), None).await?;
    if no_wait {
        return format.item(&started, STARTED);
    }
    progress::follow(client, operation_id(&started)?).await?;
    let tenant = client.get(&path(&["tenants", tenant])).await?;
    format.item(&tenant, FIELDS)
}

/// What is shown of work that goes on.
const STARTED: &[Column] = &[("Tenant", "/tenant/slug"), ("Operation", "/operation/id")];

/// The operation that a change started.
fn operation_id(started: &Value) -> Result<&str, CommandError> {
    started.pointer("/operation/id").and_then(Value::as_str).ok_or_else(|| {
        CommandError::new(Exit::Failure, "the control plane started no operation")
            .hint("this tenantry may be older or newer than the control plane")
    })
}
