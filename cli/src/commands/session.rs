//! `tenantry session`: what people do for themselves. All but `create` need the session's token as `TENANTRY_TOKEN`.

use super::user::told;
use crate::cli::Options;
use crate::client::path;
use crate::exit::CommandError;
use crate::output::{Column, Format};
use crate::password;
use reqwest::Method;
use serde_json::json;
use tenancy::{Email, SessionId};

const CREATED: &[Column] = &[
    ("Session", "/session/id"),
    ("User", "/session/user"),
    ("Expires", "/session/expires_at"),
    ("Token", "/token"),
];

const SHOWN: &[Column] = &[
    ("Session", "/session/id"),
    ("User", "/user/id"),
    ("E-mail", "/user/email"),
    ("Name", "/user/display_name"),
    ("Expires", "/session/expires_at"),
];

const SWITCHED: &[Column] =
    &[("Role", "/role"), ("Access", "/access"), ("Expires", "/expires_at"), ("Gateway token", "/token")];

const COLUMNS: &[Column] = &[
    ("SESSION", "/id"),
    ("METHOD", "/method"),
    ("CREATED", "/created_at"),
    ("USED", "/last_used_at"),
    ("EXPIRES", "/expires_at"),
];

const TENANTS: &[Column] = &[
    ("TENANT", "/tenant/slug"),
    ("NAME", "/tenant/display_name"),
    ("ROLE", "/role"),
    ("SINCE", "/created_at"),
];

/// What people can do for themselves.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum SessionCommand {
    /// Sign in; the password is asked for, or read from standard input
    Create {
        /// The e-mail address
        email: Email,
    },
    /// Show who one is
    Get,
    /// Get a short-lived token for a tenant's database
    Switch {
        /// The tenant's slug or id
        tenant: String,
    },
    /// List the tenants that one belongs to
    Tenants,
    /// List one's sessions
    List,
    /// End a session, or this one
    Revoke {
        /// The session's id; this one if left out
        id: Option<SessionId>,
    },
}

impl SessionCommand {
    pub(crate) async fn run(self, options: &Options) -> Result<(), CommandError> {
        match self {
            Self::Create { email } => {
                let password = password::read("Password")?;
                let body = json!({ "email": email, "password": password.expose() });
                let client = options.public_client()?;
                let created = client.change(Method::POST, &path(&["session"]), Some(&body)).await?;
                options.output.item(&created, CREATED)?;
                if options.output == Format::Table {
                    eprintln!("\nSet TENANTRY_TOKEN to the token: it is not shown again.");
                }
                Ok(())
            }
            Self::Get => {
                let shown = options.client()?.get(&path(&["session"])).await?;
                options.output.item(&shown, SHOWN)
            }
            Self::Switch { tenant } => {
                let body = json!({ "tenant": tenant });
                let path = path(&["session", "switch"]);
                let switched = options.client()?.change(Method::POST, &path, Some(&body)).await?;
                options.output.item(&switched, SWITCHED)
            }
            Self::Tenants => {
                let tenants = options.client()?.list(&path(&["session", "tenants"])).await?;
                options.output.listing(&tenants, TENANTS, "you belong to no tenant")
            }
            Self::List => {
                let sessions = options.client()?.list(&path(&["sessions"])).await?;
                options.output.listing(&sessions, COLUMNS, "there are no sessions")
            }
            Self::Revoke { id } => {
                let path = match &id {
                    Some(id) => path(&["sessions", &id.to_string()]),
                    None => path(&["session"]),
                };
                let ended = options.client()?.change(Method::DELETE, &path, None).await?;
                told(options.output, &ended, "the session is ended")
            }
        }
    }
}
