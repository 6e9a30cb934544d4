//! What libpq says to all that: version 15 in `psql`, and version 18 in psycopg where `tests/drivers/prepare` has
//! installed it.

use crate::{DOMAIN, STACK, WORLD, address};
use harness::{Output, Tenant, Tool, run};
use std::io::Write;
use std::path::Path;
use tokio::process::Command;

/// A connection string for libpq, with a name for the certificate and an address to reach it at.
fn dsn(tenant: &Tenant, host: &str, more: &str) -> String {
    let (address, ca) = (address(&STACK), WORLD.files.path("ca.crt"));
    format!(
        "host={host} hostaddr={} port={} user=app password={} sslmode=verify-full sslrootcert={} {more}",
        address.ip(),
        address.port(),
        tenant.password(),
        ca.display()
    )
}

async fn psql(dsn: &str, sql: &str) -> Output {
    Tool::Psql.run(["--tuples-only", "--no-align", "--no-password", "--dbname", dsn], sql).await
}

#[tokio::test]
async fn psql_verifies_the_certificate_and_binds_its_login() {
    let tenant = STACK.create_tenant("verified", "eu").await;
    let by_name = dsn(&tenant, "verified.db.example.com", "dbname=app channel_binding=require");
    let output = psql(&by_name, "select 'by its own name';\n\\conninfo\n").await.success();
    assert!(output.contains("by its own name") && output.contains("TLSv1.3"), "{output}");

    let by_database = dsn(
        &tenant,
        DOMAIN,
        "dbname=verified ssl_min_protocol_version=TLSv1.2 ssl_max_protocol_version=TLSv1.2",
    );
    assert!(psql(&by_database, "select 'by database'").await.success().contains("by database"));
}

#[tokio::test]
async fn psql_refuses_what_it_cannot_verify() {
    let tenant = STACK.create_tenant("unverified", "eu").await;
    let wrong_name = psql(&dsn(&tenant, "a.b.db.example.com", "dbname=unverified"), "select 1").await;
    assert!(wrong_name.stderr.contains("does not match host name"), "{wrong_name:?}");
    let wrong_ca = dsn(&tenant, DOMAIN, "dbname=unverified").replace("ca.crt", "clients-ca.crt");
    let wrong_ca = psql(&wrong_ca, "select 1").await;
    assert!(wrong_ca.stderr.contains("certificate verify failed"), "{wrong_ca:?}");
}

#[tokio::test]
async fn psql_shows_its_certificate() {
    let tenant = STACK.create_tenant("shown", "eu").await;
    WORLD.files.write_pair("app.shown", &WORLD.clients.sign_client("app.shown"));
    let (cert, key) = (WORLD.files.path("app.shown.crt"), WORLD.files.path("app.shown.key"));
    let more = format!("dbname=shown sslcert={} sslkey={}", cert.display(), key.display());
    let without_password =
        dsn(&tenant, DOMAIN, &more).replace(&format!("password={}", tenant.password()), "");
    assert!(psql(&without_password, "select 'known'").await.success().contains("known"));
}

/// Lets psycopg do something with `conn`, if it is there.
async fn psycopg(dsn: &str, script: &str) {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("drivers");
    let python = target.join("python/bin/python");
    if !python.exists() {
        let on_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!on_ci, "psycopg was not tried: tests/drivers/prepare has not installed it");
        let _ = writeln!(std::io::stderr(), "SKIPPED: psycopg is not here");
        return;
    }
    let program =
        format!("import os, psycopg\nconn = psycopg.connect(os.environ['DSN'], autocommit=True)\n{script}\n");
    let mut command = Command::new(python);
    command.args(["-u", "-B", "-c", &program]).env("DSN", dsn);
    let _ = run(command, "").await.success();
}

#[tokio::test]
async fn libpq_18_begins_with_tls() {
    let tenant = STACK.create_tenant("direct", "eu").await;
    let dsn = dsn(&tenant, "direct.db.example.com", "sslnegotiation=direct channel_binding=require");
    let script = "assert conn.pgconn.used_gssapi == 0\n\
                  assert conn.execute('select 1').fetchone() == (1,)\n\
                  assert conn.pgconn.ssl_in_use";
    psycopg(&dsn, script).await;
}

#[tokio::test]
async fn libpq_18_cancels_over_tls() {
    let tenant = STACK.create_tenant("interrupted", "eu").await;
    let dsn = dsn(&tenant, "interrupted.db.example.com", "sslmode=verify-full");
    // libpq 17 and later encrypt a cancel request if the session is.
    let script = "import threading\n\
                  done = threading.Event()\n\
                  def run():\n    \
                      try:\n        \
                          conn.execute('select pg_sleep(600)')\n    \
                      except psycopg.errors.QueryCanceled:\n        \
                          done.set()\n\
                  threading.Thread(target=run, daemon=True).start()\n\
                  for _ in range(600):\n    \
                      conn.cancel_safe()\n    \
                      if done.wait(0.1): break\n\
                  assert done.is_set()";
    psycopg(&dsn, script).await;
}

#[tokio::test]
async fn pgbench_runs_over_tls() {
    let tenant = STACK.create_tenant("benched", "eu").await;
    let dsn = dsn(&tenant, DOMAIN, "dbname=benched");
    let _ = Tool::Pgbench.run(["-i", "-q", "-s", "1", &dsn], "").await.success();
    for mode in ["simple", "extended", "prepared"] {
        let arguments = ["-n", "-c", "8", "-j", "2", "-t", "50", "-M", mode, &dsn];
        let output = Tool::Pgbench.run(arguments, "").await.success();
        assert!(output.contains("processed: 400/400"), "{output}");
    }
}

#[tokio::test]
async fn copies_of_any_size_pass_both_ways() {
    let tenant = STACK.create_tenant("copied", "eu").await;
    let dsn = dsn(&tenant, DOMAIN, "dbname=copied");
    let rows: String = (0..100_000).map(|row| format!("{row}\t{:0>64}\n", row)).collect();
    let input = format!("create table t(a int, b text);\ncopy t from stdin;\n{rows}\\.\ncopy t to stdout;\n");
    let output = psql(&dsn, &input).await.success();
    assert_eq!(output.lines().filter(|line| line.contains('\t')).count(), 100_000);
    assert!(output.contains(rows.lines().last().expect("a row")));
}
