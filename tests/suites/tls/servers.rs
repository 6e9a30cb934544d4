//! The gateway's way to a cluster, with a PostgreSQL server that speaks TLS.

use crate::STACK;
use crate::certs::{Authority, Signed};
use crate::middle::Middle;
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
    nothing_passes_in_clear(&tenant).await;
    a_login_cannot_be_passed_on(&tenant, &authority).await;

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

/// Whoever only looks at the way to the cluster sees requests for TLS, also before cancels, whose keys are secrets.
async fn nothing_passes_in_clear(tenant: &Tenant) {
    let server = STACK.cluster_address(CLUSTER);
    let middle = Middle::looking(server).await;
    STACK.readdress_cluster(CLUSTER, middle.address()).await;
    eventually("the new way is taken", async || {
        let met = meet(tenant).await;
        (met == Met::Encrypted && middle.requests_for_tls().0 > 0).then_some(())
    })
    .await;
    let (logins, _) = middle.requests_for_tls();
    cancels_are_heard(tenant).await;
    let (asked, otherwise) = middle.requests_for_tls();
    assert!(asked > logins, "the cancel has a connection of its own");
    assert_eq!(otherwise, 0, "something was sent in clear");
    STACK.readdress_cluster(CLUSTER, server).await;
}

/// Even with a certificate that the gateway trusts nobody can log in with what it says: its login is bound to the
/// certificate that it has seen (SCRAM-SHA-256-PLUS), and that is not the server's.
async fn a_login_cannot_be_passed_on(tenant: &Tenant, authority: &Authority) {
    let server = STACK.cluster_address(CLUSTER);
    let middle = Middle::taking_part(server, authority, NAME).await;
    STACK.readdress_cluster(CLUSTER, middle.address()).await;
    eventually("the login fails", async || {
        let met = meet(tenant).await;
        (matches!(met, Met::Refused(_)) && middle.requests_for_tls().0 > 0).then_some(())
    })
    .await;
    let admin = STACK.cluster_admin(CLUSTER, "postgres").await;
    let directory: String =
        admin.query_one("show data_directory", &[]).await.expect("an administrator may").get(0);
    // The server may not read what it has said, but whoever has started it may.
    let said = std::fs::read_to_string(format!("{directory}.log")).expect("the stack writes it");
    let is_said = said.contains("channel binding check failed");
    assert!(is_said, "the server has refused it for the binding");
    STACK.readdress_cluster(CLUSTER, server).await;
    eventually("the way is the old one again", async || (meet(tenant).await == Met::Encrypted).then_some(()))
        .await;
}
