//! `tenantry invite`.

use super::user::told;
use crate::cli::Options;
use crate::client::path;
use crate::exit::CommandError;
use crate::output::{Column, Format};
use reqwest::Method;
use serde_json::json;
use tenancy::{Email, InviteId};

const COLUMNS: &[Column] = &[
    ("INVITE", "/id"),
    ("EMAIL", "/email"),
    ("ROLE", "/role"),
    ("BY", "/invited_by"),
    ("EXPIRES", "/expires_at"),
    ("ACCEPTED", "/accepted_at"),
    ("WITHDRAWN", "/revoked_at"),
];

const FIELDS: &[Column] = &[
    ("Invite", "/invite/id"),
    ("E-mail", "/invite/email"),
    ("Role", "/invite/role"),
    ("Expires", "/invite/expires_at"),
    ("Link", "/link"),
    ("Token", "/token"),
];

/// What can be done with invites to a tenant.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum InviteCommand {
    /// Invite somebody; no mail is sent, the link is shown once
    Create {
        /// The tenant's slug or id
        tenant: String,
        /// Who may accept it
        email: Email,
        /// owner, admin, member, viewer, or a role of the tenant's own
        #[arg(long)]
        role: String,
    },
    /// List a tenant's invites, without what accepts them
    List {
        /// The tenant's slug or id
        tenant: String,
    },
    /// Withdraw an invite that was not accepted
    Revoke {
        /// The tenant's slug or id
        tenant: String,
        /// The invite's id
        id: InviteId,
    },
}

impl InviteCommand {
    pub(crate) async fn run(self, options: &Options) -> Result<(), CommandError> {
        let client = options.client()?;
        match self {
            Self::Create { tenant, email, role } => {
                let body = json!({ "email": email, "role": role });
                let path = path(&["tenants", &tenant, "invites"]);
                let made = client.change(Method::POST, &path, Some(&body)).await?;
                options.output.item(&made, FIELDS)?;
                if options.output == Format::Table {
                    eprintln!("\nHand it on: it is not shown again.");
                }
                Ok(())
            }
            Self::List { tenant } => {
                let invites = client.list(&path(&["tenants", &tenant, "invites"])).await?;
                options.output.listing(&invites, COLUMNS, "nobody was invited")
            }
            Self::Revoke { tenant, id } => {
                let path = path(&["tenants", &tenant, "invites", &id.to_string()]);
                let revoked = client.change(Method::DELETE, &path, None).await?;
                told(options.output, &revoked, &format!("{id} is withdrawn"))
            }
        }
    }
}
