//! `tenantry dev` as a person or a script meets it: a process, a file, and exit codes; and in [`verbs`] what its
//! operator runs beside it, in [`people`] what its people do.

#![expect(clippy::unwrap_used, reason = "a failing test shows where")]

mod people;
mod verbs;

use launcher::Scratch;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(90);
const ANY_PORT: [&str; 8] =
    ["--pg-port", "0", "--http-port", "0", "--admin-port", "0", "--control-plane-port", "0"];

fn tenantry(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenantry"));
    for key in ["TENANTRY_URL", "TENANTRY_TOKEN", "TENANTRY_DATA_DIR", "TENANTRY_CATALOG_DSN"] {
        command.env_remove(key);
    }
    // What an ordinary user's stack leaves behind stays in the test's directory.
    command.env("XDG_DATA_HOME", home).stdin(Stdio::null());
    command
}

fn run(scratch: &Scratch, arguments: &[&str]) -> Output {
    tenantry(scratch.path()).args(arguments).output().unwrap()
}

/// Standard error of a command that must fail: one line, and perhaps a hint.
fn complaint(output: &Output, code: i32) -> String {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines.first().is_some_and(|line| line.starts_with("error: ")), "{said}");
    assert!(lines.len() == 1 || (lines.len() == 2 && lines[1].starts_with("hint: ")), "{said}");
    lines[0].to_owned()
}

/// A running `tenantry dev`; killed when dropped.
struct Dev {
    child: Child,
    descriptor: Value,
    servers: Vec<u32>,
}

impl Dev {
    fn start(scratch: &Scratch, data_dir: &Path) -> Self {
        Self::start_with(scratch, data_dir, &[])
    }

    fn start_with(scratch: &Scratch, data_dir: &Path, more: &[&str]) -> Self {
        // One that was killed could not take its own away.
        let _ = fs::remove_file(data_dir.join("dev.json"));
        let log = fs::File::create(scratch.path().join("dev.out")).unwrap();
        let mut child = tenantry(scratch.path())
            .arg("dev")
            .arg("--data-dir")
            .arg(data_dir)
            .args(ANY_PORT)
            .args(more)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let started = Instant::now();
        let descriptor = loop {
            let text = fs::read_to_string(data_dir.join("dev.json")).unwrap_or_default();
            if let Ok(descriptor) = serde_json::from_str(&text) {
                break descriptor;
            }
            let said = || fs::read_to_string(scratch.path().join("dev.out")).unwrap();
            assert!(child.try_wait().unwrap().is_none(), "dev ended: {}", said());
            assert!(started.elapsed() < DEADLINE, "dev does not get ready: {}", said());
            std::thread::sleep(Duration::from_millis(20));
        };
        let servers = ["catalog", "eu-1", "us-1"].map(|name| server_pid(data_dir, name));
        Self { child, descriptor, servers: servers.to_vec() }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Waits until it and its servers have ended, and returns its exit code.
    fn ended(&mut self) -> Option<i32> {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < DEADLINE, "tenantry dev does not stop");
            std::thread::sleep(Duration::from_millis(20));
        };
        while self.servers.iter().any(|pid| is_running(*pid)) {
            assert!(started.elapsed() < DEADLINE, "a PostgreSQL server is still there");
            std::thread::sleep(Duration::from_millis(20));
        }
        status.code()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn server_pid(data_dir: &Path, name: &str) -> u32 {
    let file = data_dir.join("postgres").join(name).join("postmaster.pid");
    fs::read_to_string(file).unwrap().lines().next().unwrap().trim().parse().unwrap()
}

fn is_running(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn json(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn answer(connection_string: &str, query: &str) -> Result<String, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(connection_string, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    Ok(client.query_one(query, &[]).await?.get(0))
}

#[test]
fn an_ephemeral_stack_leaves_a_named_directory_as_it_found_it() {
    let scratch = Scratch::create().unwrap();
    let data_dir = scratch.path().join("named");
    let mut killed = Dev::start_with(&scratch, &data_dir, &["--ephemeral"]);
    killed.signal(Signal::SIGKILL);
    killed.ended();
    let mut dev = Dev::start_with(&scratch, &data_dir, &["--ephemeral"]);
    dev.signal(Signal::SIGINT);
    assert_eq!(dev.ended(), Some(0));
    assert_eq!(fs::read_dir(&data_dir).unwrap().count(), 0);

    fs::write(data_dir.join("precious"), "x").unwrap();
    let arguments = ["dev", "--ephemeral", "--data-dir", data_dir.to_str().unwrap()];
    let said = complaint(&run(&scratch, &arguments), 1);
    assert!(said.contains("holds something"), "{said}");
    assert!(data_dir.join("precious").exists());
}

#[test]
fn a_taken_port_is_one_line() {
    let scratch = Scratch::create().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let arguments = ["dev", "--ephemeral", "--pg-port", &port, "--http-port", "0", "--admin-port", "0"];
    let said = complaint(&run(&scratch, &arguments), 1);
    assert_eq!(said, format!("error: port {port} (PostgreSQL clients) is already in use"));
}

#[test]
fn a_missing_server_binary_is_one_line() {
    let scratch = Scratch::create().unwrap();
    let nowhere = scratch.path().display().to_string();
    let arguments = ["dev", "--ephemeral", "--pg-bin", &nowhere];
    let said = complaint(&run(&scratch, &[&arguments[..], &ANY_PORT].concat()), 1);
    assert_eq!(said, format!("error: there are no PostgreSQL server binaries in {nowhere}"));
}

#[test]
fn a_directory_that_cannot_be_used_is_one_line() {
    let scratch = Scratch::create().unwrap();
    let file = scratch.path().join("file");
    fs::write(&file, "").unwrap();
    let inside = file.join("data").display().to_string();
    let said = complaint(&run(&scratch, &[&["dev", "--data-dir", &inside][..], &ANY_PORT].concat()), 1);
    assert!(said.starts_with(&format!("error: cannot make {inside}: ")), "{said}");
}

#[test]
fn a_data_directory_of_a_newer_version_is_one_line() {
    let scratch = Scratch::create().unwrap();
    let data_dir = scratch.path().join("data");
    fs::create_dir_all(data_dir.join("postgres/catalog")).unwrap();
    fs::write(data_dir.join("postgres/catalog/PG_VERSION"), "99\n").unwrap();
    let data_dir = data_dir.display().to_string();
    let said = complaint(&run(&scratch, &[&["dev", "--data-dir", &data_dir][..], &ANY_PORT].concat()), 1);
    assert!(said.contains("was made by PostgreSQL 99"), "{said}");
}

#[test]
fn a_control_plane_that_is_not_there_has_a_code_of_its_own() {
    let scratch = Scratch::create().unwrap();
    let arguments = ["--url", "http://127.0.0.1:1", "--token", "t", "tenant", "list"];
    let said = complaint(&run(&scratch, &arguments), 6);
    assert_eq!(said, "error: no control plane answers at http://127.0.0.1:1: connection refused");
    let nowhere = scratch.path().display().to_string();
    let said = complaint(&run(&scratch, &["--data-dir", &nowhere, "tenant", "list"]), 6);
    assert_eq!(said, format!("error: no \"tenantry dev\" is running in {nowhere}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_are_found_again_after_a_stop_and_after_a_kill() {
    let scratch = Scratch::create().unwrap();
    let data_dir = scratch.path().join("data");
    let at = ["--data-dir", data_dir.to_str().unwrap(), "-o", "json"];
    let verb = |arguments: &[&str]| run(&scratch, &[&at, arguments].concat());

    let mut dev = Dev::start(&scratch, &data_dir);
    for pointer in ["/gateway/pg", "/gateway/http", "/gateway/admin", "/control_plane", "/operator_token"] {
        assert!(dev.descriptor.pointer(pointer).is_some_and(Value::is_string), "{pointer}");
    }
    let admin_dsn = dev.descriptor.pointer("/clusters/0/admin_dsn").and_then(Value::as_str).unwrap();
    assert_eq!(dev.descriptor["clusters"][0]["region"], "eu");
    let created = json(&verb(&["tenant", "create", "acme", "--region", "eu"]));
    assert_eq!(created["tenant"]["slug"], "acme");
    assert!(created["http_endpoint"].is_string() && created["api_key"].is_string(), "{created}");
    let through_gateway = created["connection_string"].as_str().unwrap();
    assert_eq!(answer(through_gateway, "select 'hello'").await.unwrap(), "hello");
    let count = "select count(*)::text from pg_database where datname like 't\\_%'";
    assert_eq!(answer(admin_dsn, count).await.unwrap(), "1");
    let second = run(&scratch, &[&["dev", "--data-dir", at[1]][..], &ANY_PORT].concat());
    assert!(complaint(&second, 1).contains("is in use by another tenantry dev"));
    dev.signal(Signal::SIGTERM);
    assert_eq!(dev.ended(), Some(0));
    assert!(!data_dir.join("dev.json").exists());

    let mut dev = Dev::start(&scratch, &data_dir);
    let tenants = json(&verb(&["tenant", "list"]));
    assert_eq!(tenants[0]["slug"], "acme");
    dev.signal(Signal::SIGKILL);
    assert_eq!(dev.ended(), None);

    let mut dev = Dev::start(&scratch, &data_dir);
    let admin_dsn =
        dev.descriptor.pointer("/clusters/0/admin_dsn").and_then(Value::as_str).unwrap().to_owned();
    let plan = verb(&["tenant", "delete", "acme", "--now", "--yes", "--dry-run"]);
    assert!(plan.status.success());
    assert_eq!(answer(&admin_dsn, count).await.unwrap(), "1");
    complaint(&verb(&["tenant", "delete", "acme"]), 8);
    assert!(verb(&["tenant", "delete", "acme", "--now", "--yes"]).status.success());
    assert_eq!(answer(&admin_dsn, count).await.unwrap(), "0");
    complaint(&verb(&["tenant", "get", "never"]), 3);
    dev.signal(Signal::SIGINT);
    assert_eq!(dev.ended(), Some(0));
}
