//! `tenantry domain`.

use crate::cli::Options;
use crate::client::path;
use crate::exit::CommandError;
use crate::output::{self, Column, Format};
use reqwest::Method;
use serde_json::json;
use tenancy::DomainName;

const COLUMNS: &[Column] = &[
    ("DOMAIN", "/domain"),
    ("VERIFIED", "/verified_at"),
    ("CHECKED", "/checked_at"),
    ("RECORD", "/challenge/name"),
    ("HOLDS", "/challenge/value"),
];

const FIELDS: &[Column] = &[
    ("Domain", "/domain"),
    ("Verified", "/verified_at"),
    ("TXT record", "/challenge/name"),
    ("Holds", "/challenge/value"),
];

/// What can be done with a tenant's own domains.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum DomainCommand {
    /// Ask for a domain; the answer says which TXT record proves it
    Create(Named),
    /// List a tenant's domains
    List {
        /// The tenant's slug or id
        tenant: String,
    },
    /// Look for a domain's TXT record; once it is found, the domain leads to the tenant
    Verify(Named),
    /// Take a domain from a tenant
    Delete(Named),
}

/// A domain of a tenant.
#[derive(Debug, clap::Args)]
pub(crate) struct Named {
    /// The tenant's slug or id
    tenant: String,
    /// The domain, such as sql.acme.org
    domain: DomainName,
}

impl DomainCommand {
    pub(crate) async fn run(self, options: &Options) -> Result<(), CommandError> {
        let client = options.client()?;
        match self {
            Self::Create(Named { tenant, domain }) => {
                let body = json!({ "domain": domain });
                let path = path(&["tenants", &tenant, "domains"]);
                let created = client.change(Method::POST, &path, Some(&body)).await?;
                options.output.item(&created, FIELDS)
            }
            Self::List { tenant } => {
                let domains = client.list(&path(&["tenants", &tenant, "domains"])).await?;
                options.output.listing(&domains, COLUMNS, "the tenant has no domains of its own")
            }
            Self::Verify(Named { tenant, domain }) => {
                let path = path(&["tenants", &tenant, "domains", domain.as_str(), "verify"]);
                let verified = client.change(Method::POST, &path, None).await?;
                options.output.item(&verified, FIELDS)
            }
            Self::Delete(Named { tenant, domain }) => {
                let path = path(&["tenants", &tenant, "domains", domain.as_str()]);
                let gone = client.change(Method::DELETE, &path, None).await?;
                match options.output {
                    Format::Json => output::json(&gone),
                    Format::Table => output::print(&format!("{domain} leads to {tenant} no more\n")),
                }
            }
        }
    }
}
