//! `tenantry credential`.

use crate::cli::Options;
use crate::client::path;
use crate::duration::Seconds;
use crate::exit::{CommandError, Exit};
use crate::output::{self, Column, Format};
use reqwest::Method;
use serde_json::{Value, json};
use tenancy::{CredentialId, KeyScope, PoolMode, Role, UserName};

const COLUMNS: &[Column] = &[
    ("CREDENTIAL", "/id"),
    ("KIND", "/kind"),
    ("USER", "/user_name"),
    ("KEY", "/key_prefix"),
    ("ROLE", "/role"),
    ("SCOPE", "/scope"),
    ("POOL MODE", "/pool_mode"),
    ("CREATED", "/created_at"),
    ("EXPIRES", "/expires_at"),
    ("LAST USED", "/last_used_at"),
    ("REVOKED", "/revoked_at"),
];

/// What can be done with credentials.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum CredentialCommand {
    /// Create a password or an API key; the secret is shown once
    Create(Create),
    /// List a tenant's credentials, without secrets
    List {
        /// The tenant's slug or id
        tenant: String,
    },
    /// Create a credential in place of another; both are good for a while, and the new one is shown once
    Rotate(Rotate),
    /// Revoke a credential: who uses it is refused from then on
    Revoke {
        /// The tenant's slug or id
        tenant: String,
        /// The credential's id
        id: CredentialId,
    },
}

/// A new credential.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// The tenant's slug or id
    tenant: String,
    /// password or api-key
    #[arg(long, default_value = "password", value_parser = ["password", "api-key"])]
    kind: String,
    /// The user that a password is for
    #[arg(long)]
    user: Option<UserName>,
    /// What its holder may do in the tenant's database
    #[arg(long, default_value_t = Role::Owner)]
    role: Role,
    /// How long its clients keep a server connection, unless they say so themselves: transaction or session
    /// [default: the gateway's]
    #[arg(long, value_name = "MODE")]
    pool_mode: Option<PoolMode>,
    /// What an API key is good for: data, read-only, or admin, which opens the control plane for its tenant too
    /// [default: data]
    #[arg(long)]
    scope: Option<KeyScope>,
    /// When it ends, such as 2030-01-01T00:00:00Z [default: never]
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
}

/// A new credential in place of an old one.
#[derive(Debug, clap::Args)]
pub(crate) struct Rotate {
    /// The tenant's slug or id
    tenant: String,
    /// The id of the credential to replace
    id: CredentialId,
    /// How long the old one stays good, such as 15m, 24h or 7d
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    keep_old: Seconds,
    /// When the new one ends [default: it lasts as long as the old one was made for]
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
}

impl CredentialCommand {
    pub(crate) async fn run(self, options: &Options) -> Result<(), CommandError> {
        let client = options.client()?;
        match self {
            Self::Create(create) => {
                let path = path(&["tenants", &create.tenant, "credentials"]);
                let created = client.change(Method::POST, &path, Some(&create.body()?)).await?;
                show_created(options.output, &created)
            }
            Self::Rotate(Rotate { tenant, id, keep_old: Seconds(keep_old), expires_at }) => {
                let path = path(&["tenants", &tenant, "credentials", &id.to_string(), "rotate"]);
                let body = json!({ "keep_old_s": keep_old, "expires_at": expires_at });
                let rotated = client.change(Method::POST, &path, Some(&body)).await?;
                show_created(options.output, &rotated)
            }
            Self::List { tenant } => {
                let credentials = client.list(&path(&["tenants", &tenant, "credentials"])).await?;
                options.output.listing(&credentials, COLUMNS, "the tenant has no credentials")
            }
            Self::Revoke { tenant, id } => {
                let path = path(&["tenants", &tenant, "credentials", &id.to_string()]);
                let revoked = client.change(Method::DELETE, &path, None).await?;
                match options.output {
                    Format::Json => output::json(&revoked),
                    Format::Table => output::print(&format!("{id} is revoked\n")),
                }
            }
        }
    }
}

impl Create {
    fn body(&self) -> Result<Value, CommandError> {
        let mut body = json!({ "kind": self.kind, "role": self.role });
        match (&self.user, self.kind.as_str()) {
            (Some(user), "password") => body["user_name"] = json!(user),
            (None, "password") => {
                return Err(
                    CommandError::new(Exit::Usage, "a password needs a user").hint("name one with --user")
                );
            }
            (Some(_), _) => {
                return Err(CommandError::new(Exit::Usage, "an API key has no user").hint("leave --user out"));
            }
            (None, _) => {}
        }
        if let Some(pool_mode) = self.pool_mode {
            body["pool_mode"] = json!(pool_mode);
        }
        if let Some(scope) = self.scope {
            body["scope"] = json!(scope);
        }
        if let Some(expires_at) = &self.expires_at {
            body["expires_at"] = json!(expires_at);
        }
        Ok(body)
    }
}

fn show_created(format: Format, created: &Value) -> Result<(), CommandError> {
    const FIELDS: &[Column] = &[
        ("Credential", "/credential/id"),
        ("Kind", "/credential/kind"),
        ("User", "/credential/user_name"),
        ("Connection string", "/connection_string"),
        ("API key", "/api_key"),
        ("Replaces", "/replaced/id"),
        ("Which ends", "/replaced/expires_at"),
    ];
    format.item(created, FIELDS)?;
    if format == Format::Table {
        eprintln!("\nKeep it: it is not shown again.");
    }
    Ok(())
}
