//! `tenantry tenant create`.

use super::operation_id;
use crate::client::{Client, path};
use crate::exit::{CommandError, Exit};
use crate::output::{self, Column, Format};
use crate::progress;
use reqwest::Method;
use serde_json::{Map, Value, json};
use tenancy::{Isolation, PlanName, RegionName, Slug};

/// What stands on the terminal once a tenant can be used. The secrets are never shown again.
const FIELDS: &[Column] = &[
    ("Tenant", "/tenant/slug"),
    ("Region", "/tenant/region"),
    ("Connection string", "/connection_string"),
    ("HTTP endpoint", "/http_endpoint"),
    ("API key", "/api_key"),
];

/// A new tenant.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// Its name in addresses: lower-case letters, digits and single hyphens
    slug: Slug,
    /// The region that its data is in
    #[arg(long)]
    region: RegionName,
    /// Regions that its data may ever be in [default: its region]
    #[arg(long, value_delimiter = ',', value_name = "REGION,…")]
    allowed_regions: Vec<RegionName>,
    /// Its name for people [default: the slug]
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// free, standard or enterprise
    #[arg(long)]
    plan: Option<PlanName>,
    /// How it is kept apart from others: row, schema, database or cluster
    #[arg(long)]
    isolation: Option<Isolation>,
    /// Return at once instead of waiting until it can be used
    #[arg(long)]
    no_wait: bool,
}

impl Create {
    pub(super) async fn run(self, client: &Client, format: Format) -> Result<(), CommandError> {
        let mut created = client.change(Method::POST, &path(&["tenants"]), Some(&self.body())).await?;
        if !self.no_wait {
            match progress::follow(client, operation_id(&created)?).await {
                Ok(operation) => created["operation"] = operation,
                Err(error) if error.exit == Exit::OperationFailed => return Err(error),
                Err(error) => {
                    // The work goes on, and this is the only chance to see the secrets.
                    format.item(&created, FIELDS)?;
                    return Err(error);
                }
            }
            created["tenant"] = client.get(&path(&["tenants", self.slug.as_str()])).await?;
        }
        format.item(&created, FIELDS)?;
        if format == Format::Table {
            eprintln!("\nKeep the connection string and the key: they are not shown again.");
            eprintln!("Try: psql '{}'", output::cell(&created, "/connection_string"));
        }
        Ok(())
    }

    fn body(&self) -> Value {
        let optional = [
            ("display_name", self.display_name.as_ref().map(|name| json!(name))),
            ("plan", self.plan.as_ref().map(|plan| json!(plan))),
            ("isolation", self.isolation.map(|isolation| json!(isolation))),
            ("allowed_regions", (!self.allowed_regions.is_empty()).then(|| json!(self.allowed_regions))),
        ];
        let required = [("slug", json!(self.slug)), ("region", json!(self.region))];
        let given = optional.into_iter().filter_map(|(key, value)| Some((key, value?)));
        let body: Map<String, Value> =
            required.into_iter().chain(given).map(|(key, value)| (key.to_owned(), value)).collect();
        Value::Object(body)
    }
}
