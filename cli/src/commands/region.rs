//! `tenantry region`.

use crate::cli::Options;
use crate::client::path;
use crate::exit::CommandError;
use crate::output::Column;
use reqwest::Method;
use serde_json::json;
use tenancy::RegionName;

const COLUMNS: &[Column] =
    &[("REGION", "/name"), ("JURISDICTION", "/jurisdiction"), ("CREATED", "/created_at")];

/// What can be done with regions.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum RegionCommand {
    /// List all regions
    List,
    /// Create a region, for clusters to be registered in
    Create {
        /// Its name, such as eu or us-east-1
        name: RegionName,
        /// The law that holds there [default: the region's name]
        #[arg(long)]
        jurisdiction: Option<String>,
    },
}

impl RegionCommand {
    pub(crate) async fn run(self, options: &Options) -> Result<(), CommandError> {
        let client = options.client()?;
        match self {
            Self::List => {
                let regions = client.list(&path(&["regions"])).await?;
                options.output.listing(&regions, COLUMNS, "there are no regions")
            }
            Self::Create { name, jurisdiction } => {
                let jurisdiction = jurisdiction.unwrap_or_else(|| name.to_string());
                let body = json!({ "name": name, "jurisdiction": jurisdiction });
                let region = client.change(Method::POST, &path(&["regions"]), Some(&body)).await?;
                options.output.item(&region, COLUMNS)
            }
        }
    }
}
