//! `tenantry service-credential`.

use crate::cli::Options;
use crate::client::path;
use crate::exit::CommandError;
use crate::output::{self, Column, Format};
use reqwest::Method;
use serde_json::{Value, json};
use tenancy::{Role, ServiceId};

const NOUN: &str = "service-credentials";

const COLUMNS: &[Column] = &[
    ("CREDENTIAL", "/id"),
    ("NAME", "/name"),
    ("KEY", "/key_prefix"),
    ("ROLE", "/role"),
    ("TENANTS", "/shown_tenants"),
    ("CREATED", "/created_at"),
    ("EXPIRES", "/expires_at"),
    ("LAST USED", "/last_used_at"),
    ("REVOKED", "/revoked_at"),
];

/// What can be done with service credentials.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ServiceCredentialCommand {
    /// Create a key for a program that acts for tenants; it is shown once
    Create {
        /// What to call it
        name: String,
        /// What it may do in a tenant's database
        #[arg(long)]
        role: Role,
        /// A tenant that it may act for, by slug or id; once for each [default: every tenant]
        #[arg(long = "tenant", value_name = "TENANT")]
        tenants: Vec<String>,
        /// When it ends, such as 2030-01-01T00:00:00Z
        #[arg(long, value_name = "TIME")]
        expires_at: String,
    },
    /// List service credentials, without secrets
    List,
    /// Revoke a service credential: who uses it is refused from then on
    Revoke {
        /// The credential's id
        id: ServiceId,
    },
}

impl ServiceCredentialCommand {
    pub(crate) async fn run(self, options: &Options) -> Result<(), CommandError> {
        let client = options.client()?;
        match self {
            Self::Create { name, role, tenants, expires_at } => {
                let mut body = json!({ "name": name, "role": role, "expires_at": expires_at });
                if !tenants.is_empty() {
                    body["tenants"] = json!(tenants);
                }
                let created = client.change(Method::POST, &path(&[NOUN]), Some(&body)).await?;
                show_created(options.output, &created)
            }
            Self::List => {
                let mut credentials = client.list(&path(&[NOUN])).await?;
                if options.output == Format::Table {
                    credentials.iter_mut().for_each(show_tenants);
                }
                options.output.listing(&credentials, COLUMNS, "there are no service credentials")
            }
            Self::Revoke { id } => {
                let revoked = client.change(Method::DELETE, &path(&[NOUN, &id.to_string()]), None).await?;
                match options.output {
                    Format::Json => output::json(&revoked),
                    Format::Table => output::print(&format!("{id} is revoked\n")),
                }
            }
        }
    }
}

/// A table has room for a number of tenants, not for their ids.
fn show_tenants(credential: &mut Value) {
    let shown = match credential["tenants"].as_array() {
        Some(tenants) => tenants.len().to_string(),
        None => "all".to_owned(),
    };
    credential["shown_tenants"] = json!(shown);
}

fn show_created(format: Format, created: &Value) -> Result<(), CommandError> {
    const FIELDS: &[Column] = &[
        ("Credential", "/service_credential/id"),
        ("Name", "/service_credential/name"),
        ("Expires", "/service_credential/expires_at"),
        ("Key", "/key"),
    ];
    format.item(created, FIELDS)?;
    if format == Format::Table {
        eprintln!("\nKeep it: it is not shown again.");
    }
    Ok(())
}
