//! Real clients against the whole stack: those in `tests/drivers`, and tokio-postgres.
//!
//! `tests/drivers/prepare` installs the clients; `make test` runs it first. A client that is not there is
//! not tried, which is said on standard error, and is a failure on CI; but not if it is one of those that
//! only `make matrix` prepares.

mod fuzz;
mod over_tls;
mod tokio_client;

use harness::{SharedStack, Stack, Tenant, run};
use std::io::Write;
use std::path::Path;
use std::sync::LazyLock;
use tokio::process::Command;

static STACK: LazyLock<SharedStack> = LazyLock::new(|| SharedStack::start(Stack::start));

/// What `tests/drivers/run` ends with when the client is not there.
const ABSENT: i32 = 77;

/// Clients that take too long to prepare for every run of the tests: only `make matrix` does.
const SLOWLY_PREPARED: [&str; 1] = ["sqlx"];

/// A tenant with connections enough for clients that pin some.
async fn tenant(slug: &str) -> Tenant {
    tenant_of(&STACK, slug).await
}

async fn tenant_of(stack: &Stack, slug: &str) -> Tenant {
    stack.create_tenant_with(serde_json::json!({ "slug": slug, "region": "eu", "plan": "standard" })).await
}

/// Runs one client's checks in clear.
async fn try_client(name: &str) {
    let tenant = tenant(name).await;
    check(name, &tenant.connection_string, &tenant.http_endpoint, &tenant, &[]).await;
}

/// Runs one client's checks, with these ways to the gateway and in this environment.
async fn check(name: &str, dsn: &str, http: &str, tenant: &Tenant, environment: &[(&str, &Path)]) {
    let suites = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("drivers");
    let mut command = Command::new(suites.with_file_name("drivers").join("run"));
    command
        .arg(name)
        .env("TENANTRY_DSN", dsn)
        .env("TENANTRY_HTTP", http)
        .env("TENANTRY_API_KEY", &tenant.api_key)
        .env("TENANTRY_DRIVERS_DIR", target)
        .envs(environment.iter().copied());
    let output = run(command, "").await;
    if output.code != Some(ABSENT) {
        let _said = output.success();
        return;
    }
    let on_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!on_ci || SLOWLY_PREPARED.contains(&name), "{name} was not tried: {}", output.stderr);
    // Not by eprintln!, which is hidden when the test succeeds.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {name} was not tried: {}", output.stderr.trim_end());
}

macro_rules! clients {
    ($try_client:path: $($test:ident: $name:literal,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                $try_client($name).await;
            }
        )*
    };
}
use clients;

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
