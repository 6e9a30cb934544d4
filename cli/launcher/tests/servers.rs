//! The launcher against real servers, and against programs that only pretend to be one.

#![expect(clippy::unwrap_used, reason = "a failing test shows where")]

use launcher::{Binaries, PostgresError, Scratch, Server, ServerOptions};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(60);

async fn binaries() -> Binaries {
    Binaries::find(None, None).await.expect("PostgreSQL is installed: scripts/install-postgres")
}

async fn throwaway(scratch: &Scratch, name: &str) -> ServerOptions {
    ServerOptions::throwaway(binaries().await, &scratch.path().join(name))
}

async fn one_value(server: &Server, query: &str) -> String {
    let client = server.connect("postgres").await.unwrap();
    client.query_one(query, &[]).await.unwrap().get(0)
}

fn is_running(pid: u32) -> bool {
    // A zombie waits for its parent to look at it; it runs no more.
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn await_gone(pid: u32) {
    let started = Instant::now();
    while is_running(pid) {
        assert!(started.elapsed() < DEADLINE, "process {pid} is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A directory with an `initdb` and a `postgres` that tells its version and then does as it is told.
fn pretender(scratch: &Scratch, version: &str, postgres: &str) -> PathBuf {
    let dir = scratch.path().join("bin");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
    let initdb =
        "for a in \"$@\"; do case $a in --pgdata=*) echo 15 > \"${a#--pgdata=}/PG_VERSION\";; esac; done";
    let postgres =
        format!("[ \"$1\" = --version ] && echo 'postgres (PostgreSQL) {version}' && exit\n{postgres}");
    for (name, body) in [("initdb", initdb), ("postgres", postgres.as_str())] {
        let path = dir.join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    }
    dir
}

#[tokio::test(flavor = "multi_thread")]
async fn many_start_at_once_and_each_is_its_own() {
    let scratch = Scratch::create().unwrap();
    let mut starting = tokio::task::JoinSet::new();
    for number in 0..6 {
        let options = throwaway(&scratch, &format!("server-{number}")).await;
        starting.spawn(Server::start(options));
    }
    let servers: Vec<Server> = starting.join_all().await.into_iter().map(Result::unwrap).collect();
    let mut identifiers = Vec::new();
    for server in &servers {
        identifiers.push(one_value(server, "select system_identifier::text from pg_control_system()").await);
    }
    identifiers.sort();
    identifiers.dedup();
    assert_eq!(identifiers.len(), servers.len());

    let pids: Vec<u32> = servers.iter().map(Server::pid).collect();
    drop(servers);
    assert!(!pids.iter().any(|pid| is_running(*pid)));
}

#[tokio::test]
async fn the_template_password_does_not_open_a_copy() {
    let scratch = Scratch::create().unwrap();
    let first = Server::start(throwaway(&scratch, "first").await).await.unwrap();
    let second = Server::start(throwaway(&scratch, "second").await).await.unwrap();
    assert_ne!(first.password().expose(), second.password().expose());
    let crossed =
        second.dsn("postgres").expose().replace(second.password().expose(), first.password().expose());
    let refused = tokio_postgres::connect(&crossed, tokio_postgres::NoTls).await.map(drop).unwrap_err();
    assert_eq!(refused.code(), Some(&tokio_postgres::error::SqlState::INVALID_PASSWORD));
}

#[tokio::test]
async fn a_durable_server_is_found_again() {
    let scratch = Scratch::create().unwrap();
    let options = ServerOptions::durable(binaries().await, &scratch.path().join("data"));
    let server = Server::start(options.clone()).await.unwrap();
    let (port, password) = (server.port(), server.password().clone());
    server.connect("postgres").await.unwrap().batch_execute("create table kept ()").await.unwrap();
    server.stop().await.unwrap();

    let again = Server::start(options.preferred_port(port).password(password)).await.unwrap();
    assert_eq!(again.port(), port);
    assert_eq!(one_value(&again, "select to_regclass('kept')::text").await, "kept");
}

#[tokio::test]
async fn a_killed_server_starts_again() {
    let scratch = Scratch::create().unwrap();
    let mut server = Server::start(throwaway(&scratch, "data").await).await.unwrap();
    server.kill().await.unwrap();
    assert!(server.has_exited());
    assert!(server.connect("postgres").await.is_err());
    server.start_again().await.unwrap();
    assert_eq!(one_value(&server, "select 'up'").await, "up");
    server.restart().await.unwrap();
    assert_eq!(one_value(&server, "select 'up'").await, "up");
}

#[tokio::test]
async fn a_paused_server_is_silent_until_resumed() {
    let scratch = Scratch::create().unwrap();
    let server = Server::start(throwaway(&scratch, "data").await).await.unwrap();
    let client = server.connect("postgres").await.unwrap();
    server.pause();
    let answer = client.query_one("select 1", &[]);
    tokio::pin!(answer);
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut answer).await.is_err());
    server.resume();
    tokio::time::timeout(DEADLINE, answer).await.unwrap().unwrap();
    server.pause();
    let pid = server.pid();
    drop(server);
    assert!(!is_running(pid), "a paused server is stopped too");
}

#[tokio::test]
async fn a_directory_without_binaries_is_named() {
    let scratch = Scratch::create().unwrap();
    let error = Binaries::find(Some(scratch.path()), None).await.unwrap_err();
    assert!(matches!(error, PostgresError::NotThere { .. }), "{error}");
    assert!(error.to_string().contains(&scratch.path().display().to_string()));
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn an_old_server_is_refused() {
    let scratch = Scratch::create().unwrap();
    let dir = pretender(&scratch, "14.9", "");
    let error = Binaries::find(Some(&dir), None).await.unwrap_err();
    assert!(error.to_string().ends_with("is PostgreSQL 14.9, at least 15 is needed"), "{error}");
}

#[tokio::test]
async fn a_server_that_hangs_is_killed() {
    let scratch = Scratch::create().unwrap();
    let pid_file = scratch.path().join("pids");
    fs::create_dir(&pid_file).unwrap();
    fs::set_permissions(&pid_file, Permissions::from_mode(0o777)).unwrap();
    let script = format!("echo $$ > {}/pid; exec sleep 1000", pid_file.display());
    let dir = pretender(&scratch, "15.1", &script);
    let binaries = Binaries::find(Some(&dir), None).await.unwrap();
    let options = ServerOptions::durable(binaries, &scratch.path().join("data"));
    let error = Server::start(options.deadline(Duration::from_secs(1))).await.unwrap_err();
    assert!(matches!(error, PostgresError::Hung { .. }), "{error}");
    let pid: u32 = fs::read_to_string(pid_file.join("pid")).unwrap().trim().parse().unwrap();
    assert!(!is_running(pid));
}

#[tokio::test]
async fn a_server_that_crashes_is_quoted() {
    let scratch = Scratch::create().unwrap();
    let dir = pretender(&scratch, "15.1", "echo 'FATAL:  the dog ate it' >&2; exit 1");
    let binaries = Binaries::find(Some(&dir), None).await.unwrap();
    let options = ServerOptions::durable(binaries, &scratch.path().join("data"));
    let error = Server::start(options).await.unwrap_err();
    assert_eq!(error.to_string(), "postgres failed: FATAL:  the dog ate it");
}

#[tokio::test]
async fn a_bad_setting_is_quoted() {
    let scratch = Scratch::create().unwrap();
    let options = throwaway(&scratch, "data").await.setting("no_such_setting", "1");
    let error = Server::start(options).await.unwrap_err();
    assert!(error.to_string().contains("unrecognized configuration parameter"), "{error}");
}

#[tokio::test]
async fn a_taken_port_is_an_error_only_for_who_insists() {
    let scratch = Scratch::create().unwrap();
    let first = Server::start(throwaway(&scratch, "first").await).await.unwrap();
    let insists = throwaway(&scratch, "second").await.port(first.port());
    let error = Server::start(insists).await.unwrap_err();
    assert!(matches!(error, PostgresError::PortTaken { port } if port == first.port()), "{error}");
    let wishes = throwaway(&scratch, "third").await.preferred_port(first.port());
    let third = Server::start(wishes).await.unwrap();
    assert_ne!(third.port(), first.port());
}

#[tokio::test]
async fn a_data_directory_of_another_version_is_refused() {
    let scratch = Scratch::create().unwrap();
    let dir = scratch.path().join("data");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("PG_VERSION"), "99\n").unwrap();
    let error = Server::start(ServerOptions::durable(binaries().await, &dir)).await.unwrap_err();
    assert!(matches!(error, PostgresError::OtherVersion { data: 99, .. }), "{error}");
}

#[tokio::test]
async fn a_killed_parent_leaves_no_server_behind() {
    let scratch = Scratch::create().unwrap();
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_waits_to_be_killed", "--ignored", "--nocapture"])
        .env("LAUNCHER_TEST_DIR", scratch.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let pid: u32 = lines
        .map_while(Result::ok)
        .find_map(|line| line.split_once("server-pid=")?.1.trim().parse().ok())
        .expect("the child tells the server's process id");
    assert!(is_running(pid));
    kill(Pid::from_raw(i32::try_from(parent.id()).unwrap()), Signal::SIGKILL).unwrap();
    parent.wait().unwrap();
    await_gone(pid);
}

#[tokio::test]
#[ignore = "the other half of a_killed_parent_leaves_no_server_behind"]
async fn child_that_waits_to_be_killed() {
    let Some(dir) = std::env::var_os("LAUNCHER_TEST_DIR") else { return };
    let data_dir = Path::new(&dir).join("data");
    let server = Server::start(ServerOptions::throwaway(binaries().await, &data_dir)).await.unwrap();
    println!("server-pid={}", server.pid());
    tokio::time::sleep(DEADLINE * 2).await;
}
