//! The same checks over TLS: every client verifies the gateway's certificate, and speaks to nobody else.

use crate::{check, clients, tenant_of};
use config::{TlsConfig, TlsListenerMode};
use harness::{SharedStack, Stack};
use std::sync::LazyLock;
use suites::certs::{Authority, Files};
use tenantry::dev::StackOptions;

static FILES: LazyLock<Files> = LazyLock::new(|| Files::new("drivers"));

static STACK: LazyLock<SharedStack> = LazyLock::new(|| {
    SharedStack::start(async || {
        let authority = Authority::new("drivers");
        FILES.write("ca.crt", &authority.pem());
        let tls = TlsConfig {
            mode: TlsListenerMode::Allow,
            http_mode: TlsListenerMode::Allow,
            certificates: vec![FILES.write_pair("gateway", &authority.sign(&["localhost"], true))],
            ..TlsConfig::default()
        };
        Stack::start_with(StackOptions::ephemeral().gateway(move |gateway| gateway.tls = tls.clone())).await
    })
});

async fn try_client(name: &str) {
    let tenant = tenant_of(&STACK, name).await;
    let ca = FILES.path("ca.crt");
    let mut dsn = format!("{}?sslmode=verify-full", tenant.connection_string);
    if name == "postgres-js" {
        // It verifies names only.
        dsn = dsn.replacen("@127.0.0.1:", "@localhost:", 1);
    }
    // Node's clients take authorities from the environment; postgres.js would send the setting to the server.
    let is_on_node =
        matches!(name, "node-pg" | "postgres-js" | "neon" | "neon-websocket" | "drizzle" | "prisma");
    if !is_on_node {
        dsn.push_str(&format!("&sslrootcert={}", ca.display()));
    }
    let https = tenant.http_endpoint.replacen("http://", "https://", 1);
    check(name, &dsn, &https, &tenant, &[("NODE_EXTRA_CA_CERTS", &ca), ("CURL_CA_BUNDLE", &ca)]).await;
}

clients! {
    try_client:
    psql: "psql",
    pgbench: "pgbench",
    pg_dump: "pg-dump",
    psycopg: "psycopg",
    asyncpg: "asyncpg",
    sqlalchemy: "sqlalchemy",
    node_pg: "node-pg",
    postgres_js: "postgres-js",
    neon: "neon",
    neon_websocket: "neon-websocket",
    drizzle: "drizzle",
    prisma: "prisma",
    curl: "curl",
    jdbc: "jdbc",
    pgx: "pgx",
    lib_pq: "lib-pq",
    sqlx: "sqlx",
}
