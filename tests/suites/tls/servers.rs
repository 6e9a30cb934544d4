//! The gateway's way to a cluster, with a PostgreSQL server that speaks TLS.

use crate::STACK;
use crate::certs::{Authority, Signed};
use harness::{Tenant, eventually};
use reqwest::Method;
use serde_json::json;
use tenantry::client::path;

/// What the server's certificate is for; its host is an address, which is not in it.
const NAME: &str = "pg.internal";

/// The suite's own use of the second cluster.
const CLUSTER: &str = "us-1";

/// What a client of the tenant meets.
#[derive(Debug, PartialEq, Eq)]
enum Met {
    /// A server connection in clear.
    Plain,
    /// An encrypted one.
    Encrypted,
    /// None, with this SQLSTATE.
    Refused(String),
}

async fn meet(tenant: &Tenant) -> Met {
    let asked = async {
        let client = tenant.try_connect().await?;
        client.query_one("select ssl from pg_stat_ssl where pid = pg_backend_pid()", &[]).await
    };
    match asked.await {
        Ok(row) if row.get(0) => Met::Encrypted,
        Ok(_) => Met::Plain,
        Err(error) => {
            Met::Refused(error.code().map_or_else(|| format!("{error:?}"), |code| code.code().to_owned()))
        }
    }
}

/// Sets how the cluster is connected to, and waits until a client meets what is expected.
async fn with(tenant: &Tenant, tls: serde_json::Value, expected: Met) {
    STACK.must(Method::PATCH, &path(&["clusters", CLUSTER]), Some(&tls)).await;
    let what = format!("a client meets {expected:?} with {}", tls["tls_mode"]);
    eventually(&what, async || (meet(tenant).await == expected).then_some(())).await;
}

/// Has the server speak TLS with this certificate, or not at all.
async fn equip(certificate: Option<&Signed>) {
    let admin = STACK.cluster_admin(CLUSTER, "postgres").await;
    if let Some(Signed { cert, key, .. }) = certificate {
        for (name, text) in [("server.crt", cert), ("server.key", key)] {
            let write = format!(
                "copy (select unnest(string_to_array('{text}', E'\\n'))) \
                 to program 'umask 077 && cat > {name}'"
            );
            admin.batch_execute(&write).await.expect("an administrator may");
        }
    }
    let state = if certificate.is_some() { "on" } else { "off" };
    for statement in [&format!("alter system set ssl = {state}")[..], "select pg_reload_conf()"] {
        admin.batch_execute(statement).await.expect("an administrator may");
    }
    eventually("the server has taken it in", async || {
        let admin = STACK.cluster_admin(CLUSTER, "postgres").await;
        let shown: String = admin.query_one("show ssl", &[]).await.ok()?.get(0);
        (shown == state).then_some(())
    })
    .await;
}

fn no_connection() -> Met {
    Met::Refused("08006".to_owned())
}

#[tokio::test]
async fn a_cluster_is_connected_to_as_its_settings_say_or_not_at_all() {
    let tenant = STACK.create_tenant("overseas", "us").await;
    assert_eq!(meet(&tenant).await, Met::Plain);
    let (authority, stranger) = (Authority::new("clusters"), Authority::new("a stranger"));
    let (ca, other_ca) = (authority.pem(), stranger.pem());

    // The server does not speak TLS: it is not spoken to in clear instead.
    with(&tenant, json!({ "tls_mode": "require" }), no_connection()).await;
    equip(Some(&authority.sign(&[NAME], false))).await;

    let full =
        |ca: &str, name: &str| json!({ "tls_mode": "verify-full", "tls_ca": ca, "tls_server_name": name });
    with(&tenant, full(&ca, NAME), Met::Encrypted).await;
    with(&tenant, full(&ca, "other.internal"), no_connection()).await;
    with(&tenant, full(&ca, NAME), Met::Encrypted).await;
    with(&tenant, full(&ca, ""), no_connection()).await;
    let ca_only = |ca: &str| json!({ "tls_mode": "verify-ca", "tls_ca": ca, "tls_server_name": "" });
    with(&tenant, ca_only(&ca), Met::Encrypted).await;
    with(&tenant, ca_only(&other_ca), no_connection()).await;
    with(&tenant, json!({ "tls_mode": "require" }), Met::Encrypted).await;
    with(&tenant, full(&other_ca, NAME), no_connection()).await;
    // Whom the system trusts has not signed it either.
    with(&tenant, full("", NAME), no_connection()).await;

    with(&tenant, full(&ca, NAME), Met::Encrypted).await;
    cancels_are_heard(&tenant).await;

    // Sessions that are open go on; new ones are not had in clear.
    equip(None).await;
    STACK.end_sessions(&tenant).await;
    eventually("the change is met", async || (meet(&tenant).await == no_connection()).then_some(())).await;
    with(&tenant, json!({ "tls_mode": "disable", "tls_ca": "", "tls_server_name": "" }), Met::Plain).await;
}

async fn cancels_are_heard(tenant: &Tenant) {
    let client = tenant.connect().await;
    let cancel = client.cancel_token();
    let sleeping = tokio::spawn(async move { client.batch_execute("select pg_sleep(600)").await });
    let inside = STACK.inside(tenant).await;
    eventually("the statement runs", async || {
        let count =
            "select count(*) from pg_stat_activity where query = 'select pg_sleep(600)' and state = 'active'";
        (inside.query_one(count, &[]).await.ok()?.get::<_, i64>(0) > 0).then_some(())
    })
    .await;
    cancel.cancel_query(tokio_postgres::NoTls).await.expect("it is taken");
    let error = sleeping.await.expect("no panic").expect_err("it was cancelled");
    assert_eq!(error.code().map(|code| code.code()), Some("57014"));
}
