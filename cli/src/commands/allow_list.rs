//! `tenantry allow-list`.

use crate::cli::Options;
use crate::client::path;
use crate::exit::CommandError;
use crate::output::Column;
use reqwest::Method;
use serde_json::json;
use tenancy::AddressRange;

const COLUMNS: &[Column] = &[("RANGES", "/ranges")];

/// What can be done with the addresses that a tenant may be reached from.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum AllowListCommand {
    /// Show from where a tenant may be reached
    Get {
        /// The tenant's slug or id
        tenant: String,
    },
    /// Say from where a tenant may be reached; who is connected from elsewhere is sent away
    Set {
        /// The tenant's slug or id
        tenant: String,
        /// Addresses, or ranges such as 192.0.2.0/24 or 2001:db8::/32
        #[arg(required = true, value_name = "RANGE")]
        ranges: Vec<AddressRange>,
    },
    /// Let a tenant be reached from everywhere
    Clear {
        /// The tenant's slug or id
        tenant: String,
    },
}

impl AllowListCommand {
    pub(crate) async fn run(self, options: &Options) -> Result<(), CommandError> {
        let client = options.client()?;
        let list = |tenant: &str| path(&["tenants", tenant, "allow-list"]);
        let shown = match self {
            Self::Get { tenant } => client.get(&list(&tenant)).await?,
            Self::Set { tenant, ranges } => {
                client.change(Method::PUT, &list(&tenant), Some(&json!({ "ranges": ranges }))).await?
            }
            Self::Clear { tenant } => {
                client.change(Method::PUT, &list(&tenant), Some(&json!({ "ranges": [] }))).await?
            }
        };
        options.output.item(&shown, COLUMNS)
    }
}
