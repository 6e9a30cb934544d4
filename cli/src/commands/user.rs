//! `tenantry user`.

use crate::cli::Options;
use crate::client::path;
use crate::exit::{CommandError, Exit};
use crate::output::{self, Column, Format};
use crate::password;
use reqwest::Method;
use serde_json::{Map, Value, json};
use tenancy::Email;

const COLUMNS: &[Column] = &[
    ("USER", "/id"),
    ("EMAIL", "/email"),
    ("NAME", "/display_name"),
    ("PASSWORD", "/has_password"),
    ("DISABLED", "/disabled_at"),
    ("CREATED", "/created_at"),
];

const FIELDS: &[Column] = &[
    ("User", "/id"),
    ("E-mail", "/email"),
    ("Name", "/display_name"),
    ("Password", "/has_password"),
    ("Identities", "/identities"),
    ("Disabled", "/disabled_at"),
    ("Created", "/created_at"),
];

/// What can be done with users. A user is named by id or e-mail address.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum UserCommand {
    /// Add a user; the password is asked for, or read from standard input
    Create {
        /// The e-mail address that they sign in by
        email: Email,
        /// The name for people
        #[arg(long)]
        name: String,
        /// Make no password: they sign in by an identity provider only
        #[arg(long)]
        no_password: bool,
    },
    /// List users
    List,
    /// Show a user
    Get {
        /// Their id or e-mail address
        user: String,
    },
    /// Change a user
    Update(Update),
    /// Remove a user, with their memberships and sessions
    Delete {
        /// Their id or e-mail address
        user: String,
    },
    /// End all of a user's sessions
    SignOut {
        /// Their id or e-mail address
        user: String,
    },
}

/// What is to change.
#[derive(Debug, clap::Args)]
pub(crate) struct Update {
    /// Their id or e-mail address
    user: String,
    /// Another e-mail address to sign in by
    #[arg(long)]
    email: Option<Email>,
    /// Another name for people
    #[arg(long)]
    name: Option<String>,
    /// Another password, which is asked for or read from standard input; ends their sessions
    #[arg(long)]
    password: bool,
    /// Whether nothing lets them in; true ends their sessions
    #[arg(long, value_name = "true|false")]
    disabled: Option<bool>,
}

impl UserCommand {
    pub(crate) async fn run(self, options: &Options) -> Result<(), CommandError> {
        let client = options.client()?;
        match self {
            Self::Create { email, name, no_password } => {
                let mut body = json!({ "email": email, "display_name": name });
                if !no_password {
                    body["password"] = json!(password::read("Password")?.expose());
                }
                let user = client.change(Method::POST, &path(&["users"]), Some(&body)).await?;
                options.output.item(&user, FIELDS)
            }
            Self::List => {
                let users = client.list(&path(&["users"])).await?;
                options.output.listing(&users, COLUMNS, "there are no users")
            }
            Self::Get { user } => options.output.item(&client.get(&path(&["users", &user])).await?, FIELDS),
            Self::Update(update) => {
                let path = path(&["users", &update.user]);
                let user = client.change(Method::PATCH, &path, Some(&update.body()?)).await?;
                options.output.item(&user, FIELDS)
            }
            Self::Delete { user } => {
                let removed = client.change(Method::DELETE, &path(&["users", &user]), None).await?;
                told(options.output, &removed, &format!("{user} is removed"))
            }
            Self::SignOut { user } => {
                let ended = client.change(Method::DELETE, &path(&["users", &user, "sessions"]), None).await?;
                told(options.output, &ended, &format!("all sessions of {user} are ended"))
            }
        }
    }
}

impl Update {
    fn body(&self) -> Result<Value, CommandError> {
        let mut body = Map::new();
        if let Some(email) = &self.email {
            body.insert("email".to_owned(), json!(email));
        }
        if let Some(name) = &self.name {
            body.insert("display_name".to_owned(), json!(name));
        }
        if self.password {
            body.insert("password".to_owned(), json!(password::read("New password")?.expose()));
        }
        if let Some(disabled) = self.disabled {
            body.insert("disabled".to_owned(), json!(disabled));
        }
        if body.is_empty() {
            return Err(CommandError::new(Exit::Usage, "there is nothing to change").hint("see --help"));
        }
        Ok(Value::Object(body))
    }
}

/// Says what was done, or passes the answer on.
pub(super) fn told(format: Format, answer: &Value, sentence: &str) -> Result<(), CommandError> {
    match format {
        Format::Json => output::json(answer),
        Format::Table => output::print(&format!("{sentence}\n")),
    }
}
