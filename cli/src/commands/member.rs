//! `tenantry member`.

use super::user::told;
use crate::cli::Options;
use crate::client::path;
use crate::exit::CommandError;
use crate::output::Column;
use reqwest::Method;
use serde_json::json;
use tenancy::UserId;

const COLUMNS: &[Column] = &[
    ("USER", "/user/id"),
    ("EMAIL", "/user/email"),
    ("NAME", "/user/display_name"),
    ("ROLE", "/role"),
    ("SINCE", "/created_at"),
];

const FIELDS: &[Column] = &[
    ("Tenant", "/tenant/slug"),
    ("User", "/user/id"),
    ("E-mail", "/user/email"),
    ("Role", "/role"),
    ("Permissions", "/permissions"),
];

/// What can be done with a tenant's members.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum MemberCommand {
    /// Make a user a member, without asking them
    Add {
        /// The tenant's slug or id
        tenant: String,
        /// The user's id or e-mail address
        user: String,
        /// owner, admin, member, viewer, or a role of the tenant's own
        #[arg(long)]
        role: String,
    },
    /// List a tenant's members
    List {
        /// The tenant's slug or id
        tenant: String,
    },
    /// Give a member another role
    SetRole {
        /// The tenant's slug or id
        tenant: String,
        /// The user's id
        user: UserId,
        /// owner, admin, member, viewer, or a role of the tenant's own
        role: String,
    },
    /// Send a member away; the last owner stays
    Remove {
        /// The tenant's slug or id
        tenant: String,
        /// The user's id
        user: UserId,
    },
}

impl MemberCommand {
    pub(crate) async fn run(self, options: &Options) -> Result<(), CommandError> {
        let client = options.client()?;
        match self {
            Self::Add { tenant, user, role } => {
                let body = json!({ "user": user, "role": role });
                let path = path(&["tenants", &tenant, "members"]);
                options.output.item(&client.change(Method::POST, &path, Some(&body)).await?, FIELDS)
            }
            Self::List { tenant } => {
                let members = client.list(&path(&["tenants", &tenant, "members"])).await?;
                options.output.listing(&members, COLUMNS, "the tenant has no members")
            }
            Self::SetRole { tenant, user, role } => {
                let path = path(&["tenants", &tenant, "members", &user.to_string()]);
                let body = json!({ "role": role });
                options.output.item(&client.change(Method::PATCH, &path, Some(&body)).await?, FIELDS)
            }
            Self::Remove { tenant, user } => {
                let path = path(&["tenants", &tenant, "members", &user.to_string()]);
                let removed = client.change(Method::DELETE, &path, None).await?;
                told(options.output, &removed, &format!("{user} is no member of {tenant} any more"))
            }
        }
    }
}
