//! `tenantry tenant rename`.

use crate::client::{Client, path};
use crate::duration::Seconds;
use crate::exit::CommandError;
use crate::output::Format;
use reqwest::Method;
use serde_json::json;
use tenancy::Slug;

/// A tenant and its new name.
#[derive(Debug, clap::Args)]
pub(crate) struct Rename {
    /// Its slug or id
    tenant: String,
    /// The slug to give it
    slug: Slug,
    /// How long it is still reached by the old one, such as 24h or 7d; 0s for not at all [default: as the installation
    /// is set up]
    #[arg(long, value_name = "DURATION")]
    keep_old: Option<Seconds>,
}

impl Rename {
    pub(super) async fn run(self, client: &Client, format: Format) -> Result<(), CommandError> {
        let mut body = json!({ "slug": self.slug });
        if let Some(Seconds(keep_old)) = self.keep_old {
            body["keep_old_slug_s"] = json!(keep_old);
        }
        let renamed = client.change(Method::PATCH, &path(&["tenants", &self.tenant]), Some(&body)).await?;
        format.item(&renamed, super::FIELDS)
    }
}
