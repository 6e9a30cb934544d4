//! A tenant as its owner knows it.

use serde_json::Value;
use tokio_postgres::{Client, Config, NoTls};

/// A tenant and the secrets that were handed out when it was made.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Its id.
    pub id: String,
    /// Its slug.
    pub slug: String,
    /// A `postgres://` URL through the gateway.
    pub connection_string: String,
    /// The URL of SQL over HTTP.
    pub http_endpoint: String,
    /// The key for it.
    pub api_key: String,
}

impl Tenant {
    /// Reads it from the control plane's answer to the request that made it.
    ///
    /// # Panics
    /// When it is no such answer.
    #[must_use]
    pub fn from_created(created: &Value) -> Self {
        let text = |pointer: &str| match created.pointer(pointer).and_then(Value::as_str) {
            Some(text) => text.to_owned(),
            None => panic!("the control plane's answer has no {pointer}: {created}"),
        };
        Self {
            id: text("/tenant/id"),
            slug: text("/tenant/slug"),
            connection_string: text("/connection_string"),
            http_endpoint: text("/http_endpoint"),
            api_key: text("/api_key"),
        }
    }

    /// Its connection string, taken apart.
    ///
    /// # Panics
    /// When it is not one.
    #[must_use]
    pub fn config(&self) -> Config {
        self.connection_string.parse().expect("the connection string is one")
    }

    /// The password of its first user.
    ///
    /// # Panics
    /// When its connection string has none.
    #[must_use]
    pub fn password(&self) -> String {
        let config = self.config();
        let password = config.get_password().expect("the connection string has a password");
        String::from_utf8(password.to_vec()).expect("a password is text")
    }

    /// Connects through the gateway. The connection ends when the client is dropped.
    ///
    /// # Panics
    /// When that fails.
    pub async fn connect(&self) -> Client {
        match self.try_connect().await {
            Ok(client) => client,
            Err(error) => panic!("{} cannot be reached through the gateway: {error:?}", self.slug),
        }
    }

    /// Connects through the gateway.
    ///
    /// # Errors
    /// When the gateway refuses.
    pub async fn try_connect(&self) -> Result<Client, tokio_postgres::Error> {
        connect(&self.config()).await
    }
}

pub(crate) async fn connect(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    // Ends when the client is dropped; what it says then is of no interest.
    tokio::spawn(connection);
    Ok(client)
}
