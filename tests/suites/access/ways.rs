//! The ways in which a statement reaches a tenant's database.

use super::STACK;
use harness::{Tenant, eventually};
use reqwest::Method;
use serde_json::json;
use tenancy::{PoolMode, Role};
use tenantry::client::path;
use tokio_postgres::{Client, Config, NoTls};

/// Every way.
pub(super) const ALL: [Way; 3] = [Way::Wire(PoolMode::Transaction), Way::Wire(PoolMode::Session), Way::Http];

/// One way.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// The PostgreSQL protocol, with this long a hold on a server connection.
    Wire(PoolMode),
    /// SQL over HTTP.
    Http,
}

/// Somebody with a role in a tenant.
pub(super) struct Holder {
    /// The tenant as its credentials open it.
    known: Tenant,
}

/// Gives somebody a role: a password and an API key.
pub(super) async fn holder(tenant: &Tenant, role: Role) -> Holder {
    let credentials = path(&["tenants", &tenant.slug, "credentials"]);
    let body = json!({ "kind": "password", "user_name": format!("a-{role}"), "role": role });
    let password = STACK.must(Method::POST, &credentials, Some(&body)).await;
    let key = STACK.must(Method::POST, &credentials, Some(&json!({ "kind": "api-key", "role": role }))).await;
    let text = |value: &serde_json::Value| value.as_str().expect("it is shown once").to_owned();
    let known = Tenant {
        connection_string: text(&password["connection_string"]),
        api_key: text(&key["api_key"]),
        ..tenant.clone()
    };
    let holder = Holder { known };
    eventually("the gateway knows the password", async || holder.try_connect(PoolMode::Session).await.ok())
        .await;
    eventually("the gateway knows the key", async || holder.run(Way::Http, "select 1").await.ok()).await;
    holder
}

impl Holder {
    /// A client of this pool mode.
    pub(super) async fn connect(&self, mode: PoolMode) -> Client {
        self.try_connect(mode).await.expect("the gateway lets the holder in")
    }

    async fn try_connect(&self, mode: PoolMode) -> Result<Client, tokio_postgres::Error> {
        let mut config: Config = self.known.config();
        config.options(format!("-c tenantry.pool_mode={mode}"));
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Runs one statement. The SQLSTATE, where it is refused.
    pub(super) async fn run(&self, way: Way, sql: &str) -> Result<(), String> {
        match way {
            Way::Wire(mode) => {
                let client = self.try_connect(mode).await.map_err(|error| sqlstate(&error))?;
                client.batch_execute(sql).await.map_err(|error| sqlstate(&error))
            }
            Way::Http => {
                let (status, body) = STACK.http_query(&self.known, sql, &[]).await;
                if status == 200 {
                    return Ok(());
                }
                Err(body["code"].as_str().unwrap_or("no code").to_owned())
            }
        }
    }

    /// The first value of the answer to a query over the wire.
    pub(super) async fn value(&self, sql: &str) -> String {
        let client = self.connect(PoolMode::Transaction).await;
        let row = client.query_one(&format!("select ({sql})::text"), &[]).await;
        row.unwrap_or_else(|error| panic!("{sql}: {error}")).get(0)
    }
}

fn sqlstate(error: &tokio_postgres::Error) -> String {
    error.code().map_or_else(|| error.to_string(), |code| code.code().to_owned())
}
