//! Real drivers at the console: each speaks the extended protocol in its own way.

use super::{STACK, tenant};
use harness::run;
use std::io::Write;
use std::path::Path;
use tokio::process::Command;

/// Runs a script for the drivers' own Python. A driver that is not there is not tried, which is said.
async fn python(module: &str, script: &str) {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("drivers");
    let program = target.join("python/bin/python");
    if !program.exists() {
        let on_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!on_ci, "{module} was not tried: tests/drivers/prepare installs it");
        let _ = writeln!(std::io::stderr(), "SKIPPED: {module} was not tried: run tests/drivers/prepare");
        return;
    }
    let mut command = Command::new(program);
    command.args(["-B", "-c", script]).env("TENANTRY_CONSOLE", &STACK.descriptor().gateway.console);
    let said = run(command, "").await.success();
    assert!(said.contains("all is well"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn psycopg() {
    let _tenant = tenant("by-psycopg", 2).await;
    let script = r#"
import os, psycopg
for autocommit in (False, True):
    with psycopg.connect(os.environ["TENANTRY_CONSOLE"], autocommit=autocommit) as console:
        names = [row[0] for row in console.execute("SHOW DATABASES").fetchall()]
        assert "by-psycopg" in names, names
        with console.cursor(binary=True) as cursor:
            for _ in range(10):
                rows = cursor.execute("SHOW STATS_TOTALS").fetchall()
                assert all(row[1] >= 0 for row in rows), rows
        console.execute("PAUSE \"by-psycopg\"")
        console.execute("RESUME \"by-psycopg\"")
        try:
            console.execute("SELECT 1")
            raise SystemExit("no error")
        except psycopg.errors.SyntaxError as error:
            assert "SHOW HELP" in error.diag.message_hint
        console.rollback()
        assert console.execute("SHOW VERSION").fetchone()[0].startswith("Tenantry ")
print("all is well")
"#;
    python("psycopg", script).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asyncpg() {
    let _tenant = tenant("by-asyncpg", 2).await;
    let script = r#"
import asyncio, asyncpg, os
async def main():
    console = await asyncpg.connect(os.environ["TENANTRY_CONSOLE"])
    rows = await console.fetch("SHOW DATABASES")
    assert "by-asyncpg" in [row["name"] for row in rows], rows
    assert all(row["items"] >= 0 for row in await console.fetch("SHOW LISTS"))
    await console.execute("PAUSE \"by-asyncpg\"; RESUME \"by-asyncpg\"")
    try:
        await console.fetch("SELECT 1")
        raise SystemExit("no error")
    except asyncpg.PostgresSyntaxError:
        pass
    assert await console.fetchval("SHOW VERSION")
    await console.close(timeout=5)
asyncio.run(main())
print("all is well")
"#;
    python("asyncpg", script).await;
}
