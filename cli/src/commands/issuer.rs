//! `tenantry issuer`.

mod settings;

use crate::cli::Options;
use crate::client::path;
use crate::exit::CommandError;
use crate::output::{self, Column, Format};
use reqwest::Method;
use serde_json::{Value, json};
use settings::Settings;
use tenancy::IssuerId;

const COLUMNS: &[Column] = &[
    ("ISSUER", "/id"),
    ("ISS", "/iss"),
    ("SHAPE", "/shape"),
    ("TENANT AS", "/tenant_form"),
    ("JWKS", "/jwks_url"),
    ("CREATED", "/created_at"),
];

const EXTERNAL_COLUMNS: &[Column] =
    &[("ISSUER", "/issuer_id"), ("EXTERNAL ID", "/external_id"), ("SINCE", "/created_at")];

/// What can be done with identity providers.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum IssuerCommand {
    /// Register an identity provider whose tokens open tenants
    Create(Box<Create>),
    /// List the installation's issuers, or a tenant's own
    List {
        #[command(flatten)]
        whose: Whose,
    },
    /// Show one issuer
    Get {
        /// Its id
        id: IssuerId,
        #[command(flatten)]
        whose: Whose,
    },
    /// Change how an issuer's tokens are read, at once
    Update(Box<Update>),
    /// Remove an issuer: its tokens open nothing from then on
    Delete {
        /// Its id
        id: IssuerId,
        #[command(flatten)]
        whose: Whose,
    },
    /// Ask an issuer for its keys, and try a token
    Test {
        /// Its id
        id: IssuerId,
        #[command(flatten)]
        whose: Whose,
        /// A file that holds a token; - reads it from the standard input
        #[arg(long, value_name = "FILE")]
        token_file: Option<std::path::PathBuf>,
    },
    /// Say what an issuer calls a tenant, such as an organization's id
    Link {
        /// The tenant's slug or id
        tenant: String,
        /// The issuer's id
        issuer: IssuerId,
        /// The issuer's own name for the tenant
        external_id: String,
    },
    /// Take a name that an issuer has for a tenant away
    Unlink {
        /// The tenant's slug or id
        tenant: String,
        /// The issuer's id
        issuer: IssuerId,
        /// The issuer's own name for the tenant
        external_id: String,
    },
    /// List what issuers call a tenant
    Links {
        /// The tenant's slug or id
        tenant: String,
    },
}

/// Whose issuer it is.
#[derive(Debug, clap::Args)]
pub(crate) struct Whose {
    /// A tenant's own, by the tenant's slug or id [default: the installation's]
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
}

/// A new issuer.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// The tokens' iss, letter by letter
    iss: String,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    settings: Settings,
}

/// A change of one.
#[derive(Debug, clap::Args)]
pub(crate) struct Update {
    /// Its id
    id: IssuerId,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    settings: Settings,
}

impl Whose {
    /// The path of these issuers, or of what belongs to one of them.
    fn path(&self, rest: &[&str]) -> String {
        let start: Vec<&str> = match &self.tenant {
            Some(tenant) => vec!["tenants", tenant, "issuers"],
            None => vec!["issuers"],
        };
        path(&[start.as_slice(), rest].concat())
    }
}

impl IssuerCommand {
    pub(crate) async fn run(self, options: &Options) -> Result<(), CommandError> {
        let client = options.client()?;
        let shown = match self {
            Self::List { whose } => {
                let issuers = client.list(&whose.path(&[])).await?;
                return options.output.listing(&issuers, COLUMNS, "there are no issuers");
            }
            Self::Links { tenant } => {
                let links = client.list(&path(&["tenants", &tenant, "external-ids"])).await?;
                return options.output.listing(
                    &links,
                    EXTERNAL_COLUMNS,
                    "no issuer has a name for the tenant",
                );
            }
            Self::Get { id, whose } => client.get(&whose.path(&[&id.to_string()])).await?,
            Self::Create(create) => {
                let mut body = create.settings.body()?;
                body["iss"] = json!(create.iss);
                client.change(Method::POST, &create.whose.path(&[]), Some(&body)).await?
            }
            Self::Update(update) => {
                let body = update.settings.changes()?;
                let path = update.whose.path(&[&update.id.to_string()]);
                client.change(Method::PATCH, &path, Some(&body)).await?
            }
            Self::Delete { id, whose } => {
                let deleted = client.change(Method::DELETE, &whose.path(&[&id.to_string()]), None).await?;
                return told(options.output, &deleted, &format!("{id} is removed\n"));
            }
            Self::Test { id, whose, token_file } => {
                let token = token_file.map(|file| settings::read(&file)).transpose()?;
                let body = json!({ "token": token });
                let tested =
                    client.change(Method::POST, &whose.path(&[&id.to_string(), "test"]), Some(&body)).await?;
                return options.output.item(&tested, TESTED);
            }
            Self::Link { tenant, issuer, external_id } => {
                let body = json!({ "issuer_id": issuer, "external_id": external_id });
                let path = path(&["tenants", &tenant, "external-ids"]);
                let linked = client.change(Method::POST, &path, Some(&body)).await?;
                return options.output.item(&linked, EXTERNAL_COLUMNS);
            }
            Self::Unlink { tenant, issuer, external_id } => {
                let path = path(&["tenants", &tenant, "external-ids", &issuer.to_string(), &external_id]);
                let unlinked = client.change(Method::DELETE, &path, None).await?;
                return told(
                    options.output,
                    &unlinked,
                    &format!("{external_id} leads to {tenant} no more\n"),
                );
            }
        };
        options.output.item(&shown, FIELDS)
    }
}

const FIELDS: &[Column] = &[
    ("Issuer", "/id"),
    ("Iss", "/iss"),
    ("Audiences", "/audiences"),
    ("Algorithms", "/algorithms"),
    ("Keys", "/jwks_url"),
    ("Leeway, seconds", "/leeway_s"),
    ("Shape", "/shape"),
    ("Tenant's claim", "/tenant_claim"),
    ("Role's claim", "/role_claim"),
    ("User's claim", "/user_claim"),
    ("Tenant's claim holds", "/tenant_form"),
    ("Roles", "/roles"),
    ("Default role", "/default_role"),
    ("Version", "/version"),
];

const TESTED: &[Column] = &[
    ("Keys", "/keys"),
    ("Accepted", "/token/accepted"),
    ("Reason", "/token/detail"),
    ("User", "/token/user"),
    ("Tenant", "/token/tenant"),
    ("Role", "/token/role"),
];

fn told(format: Format, answer: &Value, words: &str) -> Result<(), CommandError> {
    match format {
        Format::Json => output::json(answer),
        Format::Table => output::print(words),
    }
}
