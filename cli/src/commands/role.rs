//! `tenantry role`.

use super::user::told;
use crate::cli::Options;
use crate::client::path;
use crate::exit::CommandError;
use crate::output::Column;
use reqwest::Method;
use serde_json::json;
use tenancy::{CustomRoleName, Permission};

const COLUMNS: &[Column] = &[("ROLE", "/name"), ("BUILT IN", "/built_in"), ("PERMISSIONS", "/permissions")];

/// What can be done with the roles of a tenant.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum RoleCommand {
    /// Make a role of the tenant's own
    Create(Permitted),
    /// List the roles that a tenant's members may have
    List {
        /// The tenant's slug or id
        tenant: String,
    },
    /// Change what a role permits, for all who have it
    Update(Permitted),
    /// Remove a role that nobody has
    Delete {
        /// The tenant's slug or id
        tenant: String,
        /// Its name
        name: CustomRoleName,
    },
}

/// A role and what it permits.
#[derive(Debug, clap::Args)]
pub(crate) struct Permitted {
    /// The tenant's slug or id
    tenant: String,
    /// Its name
    name: CustomRoleName,
    /// What it permits, such as data.read,members.read
    #[arg(long, required = true, value_delimiter = ',', value_name = "PERMISSION,…")]
    permissions: Vec<Permission>,
}

impl RoleCommand {
    pub(crate) async fn run(self, options: &Options) -> Result<(), CommandError> {
        let client = options.client()?;
        match self {
            Self::Create(Permitted { tenant, name, permissions }) => {
                let body = json!({ "name": name, "permissions": permissions });
                let made =
                    client.change(Method::POST, &path(&["tenants", &tenant, "roles"]), Some(&body)).await?;
                options.output.item(&made, COLUMNS)
            }
            Self::List { tenant } => {
                let roles = client.list(&path(&["tenants", &tenant, "roles"])).await?;
                options.output.listing(&roles, COLUMNS, "there are no roles")
            }
            Self::Update(Permitted { tenant, name, permissions }) => {
                let path = path(&["tenants", &tenant, "roles", name.as_str()]);
                let body = json!({ "permissions": permissions });
                options.output.item(&client.change(Method::PATCH, &path, Some(&body)).await?, COLUMNS)
            }
            Self::Delete { tenant, name } => {
                let path = path(&["tenants", &tenant, "roles", name.as_str()]);
                let removed = client.change(Method::DELETE, &path, None).await?;
                told(options.output, &removed, &format!("the role {name} is removed"))
            }
        }
    }
}
