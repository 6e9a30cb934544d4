//! From options to a process that answers: the data directory, the port, and the wait for readiness.

use crate::server::ADMIN_USER;
use crate::watchdog::Watched;
use crate::{
    Account, PostgresError, ServerOptions, command, data_dir, password, processes, template::Template,
};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::fs::{self, File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};
use tenancy::Secret;
use tokio_postgres::NoTls;

pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A free port is found by binding and letting go, so somebody else may take it in between.
const PORT_ATTEMPTS_MAX: u32 = 10;

/// How long a stopping server gets for its last checkpoint before it is told to drop everything.
pub(crate) const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// How long a server of an earlier, killed run gets to be stopped by its watchdog.
const PREDECESSOR_DEADLINE: Duration = Duration::from_secs(35);

/// Sees to the data directory. Returns the password that it was made with and the one it is to have.
pub(crate) async fn prepare(
    options: &ServerOptions,
    account: &Account,
) -> Result<(Secret, Secret), PostgresError> {
    let ServerOptions { binaries, data_dir, deadline, .. } = options;
    let wanted = match &options.password {
        Some(password) => password.clone(),
        None => password::random_password()?,
    };
    if data_dir::check_version(data_dir, binaries)? {
        return Ok((wanted.clone(), wanted));
    }
    if options.durable || !Template::can_be_copied(binaries) {
        let durable = options.durable;
        data_dir::initialise(binaries, account, data_dir, &wanted, durable, *deadline).await?;
        return Ok((wanted.clone(), wanted));
    }
    let template = Template::obtain(binaries, account, *deadline).await?;
    template.copy_to(binaries, account, data_dir, *deadline).await?;
    Ok((template.password, wanted))
}

/// Starts the process, on another port if the first is taken and any will do.
pub(crate) async fn launch(
    options: &ServerOptions,
    account: &Account,
    log_path: &Path,
    password: &Secret,
) -> Result<(Watched, u16), PostgresError> {
    await_predecessor(&options.data_dir).await;
    let mut port = options.port;
    for _ in 0..PORT_ATTEMPTS_MAX {
        if port == 0 {
            port = free_port()?;
        }
        // A log may quote statements, and statements may hold secrets.
        let log = OpenOptions::new().create(true).append(true).mode(0o600).open(log_path);
        let log = log.map_err(PostgresError::io("open", log_path))?;
        let said_before = log.metadata().map_err(PostgresError::io("look at", log_path))?.len();
        let mut process = spawn(options, account, port, &log)?;
        match await_ready(&mut process, options, port, password).await {
            Ok(()) => return Ok((process, port)),
            Err(PostgresError::Failed { .. }) => {}
            Err(error) => {
                // It was not ready, so it has nothing to lose.
                let _ = end(&mut process, Signal::SIGKILL).await;
                return Err(error);
            }
        }
        let said = tail(log_path, said_before);
        if !said.contains("Address already in use") {
            return Err(failed(command::one_line(&said)));
        }
        if !options.port_is_wish {
            return Err(PostgresError::PortTaken { port });
        }
        port = 0;
    }
    Err(failed(format!("found no free port in {PORT_ATTEMPTS_MAX} attempts")))
}

fn spawn(
    options: &ServerOptions,
    account: &Account,
    port: u16,
    log: &File,
) -> Result<Watched, PostgresError> {
    let fixed = [
        ("port", port.to_string()),
        ("listen_addresses", "127.0.0.1".to_owned()),
        // Nobody needs a socket file, and its path would have to fit into 107 bytes.
        ("unix_socket_directories", String::new()),
        ("logging_collector", "off".to_owned()),
        ("log_destination", "stderr".to_owned()),
        ("lc_messages", "C".to_owned()),
    ];
    let mut arguments = vec!["-D".to_owned(), options.data_dir.display().to_string()];
    let given = options.settings.iter().map(|(name, value)| (name.as_str(), value.clone()));
    for (name, value) in fixed.into_iter().chain(given) {
        arguments.extend(["-c".to_owned(), format!("{name}={value}")]);
    }
    let program = options.binaries.server_tool("postgres");
    Watched::spawn(&program, arguments, &options.data_dir, account, log)
}

/// Waits until the server says itself, in its own directory, that it is ready, and then asks it. An answer
/// on the port alone proves nothing: another server may have it, even another copy of the same template.
async fn await_ready(
    process: &mut Watched,
    options: &ServerOptions,
    port: u16,
    password: &Secret,
) -> Result<(), PostgresError> {
    let deadline = options.deadline;
    let hung = || PostgresError::Hung { program: "postgres".to_owned(), waited: deadline };
    let started = Instant::now();
    while !says_ready(&options.data_dir, process_id(process)) {
        if process.has_exited() {
            return Err(failed("it ended while starting".to_owned()));
        }
        if started.elapsed() > deadline {
            return Err(hung());
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    let left = deadline.saturating_sub(started.elapsed());
    let answer = tokio::time::timeout(left, connect(port, password, "postgres")).await;
    answer.map_err(|_| hung())?.map(drop)
}

/// The first line is the process id, the eighth the state (src/include/utils/pidfile.h).
fn says_ready(data_dir: &Path, server: Pid) -> bool {
    let text = fs::read_to_string(data_dir.join("postmaster.pid")).unwrap_or_default();
    let mut lines = text.lines().map(str::trim);
    let is_ours = lines.next().is_some_and(|pid| pid == server.to_string());
    is_ours && lines.nth(6) == Some("ready")
}

pub(crate) async fn end(process: &mut Watched, signal: Signal) -> Result<(), PostgresError> {
    let pid = process_id(process);
    if !process.has_exited() {
        processes::signal(pid, signal);
    }
    let started = Instant::now();
    while !process.has_exited() {
        if started.elapsed() > STOP_DEADLINE {
            for pid in processes::family(pid) {
                processes::signal(pid, Signal::SIGKILL);
            }
            return Err(PostgresError::Hung { program: "postgres".to_owned(), waited: STOP_DEADLINE });
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(())
}

/// When an earlier run was killed, its watchdog may still be stopping the server.
async fn await_predecessor(data_dir: &Path) {
    let started = Instant::now();
    while started.elapsed() < PREDECESSOR_DEADLINE {
        let pid_file = fs::read_to_string(data_dir.join("postmaster.pid")).unwrap_or_default();
        let pid = pid_file.lines().next().and_then(|line| line.trim().parse().ok());
        if pid.is_none_or(|pid| !processes::exists(Pid::from_raw(pid))) {
            return;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

pub(crate) async fn connect(
    port: u16,
    password: &Secret,
    database: &str,
) -> Result<tokio_postgres::Client, PostgresError> {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).user(ADMIN_USER).password(password.expose()).dbname(database);
    let connected = config.connect(NoTls).await;
    let (client, connection) = connected.map_err(|source| PostgresError::Connect { port, source })?;
    tokio::spawn(connection);
    Ok(client)
}

pub(crate) fn dsn(port: u16, password: &Secret, database: &str) -> Secret {
    Secret::new(format!("postgres://{ADMIN_USER}:{}@127.0.0.1:{port}/{database}", password.expose()))
}

fn free_port() -> Result<u16, PostgresError> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    bound.map(|address| address.port()).map_err(PostgresError::io("find a free port on", "127.0.0.1"))
}

pub(crate) fn process_id(process: &Watched) -> Pid {
    Pid::from_raw(i32::try_from(process.child.id()).expect("process ids are positive and fit an i32"))
}

/// What the log says since `offset`.
fn tail(path: &Path, offset: u64) -> String {
    let text = fs::read(path).unwrap_or_default();
    let from = usize::try_from(offset).unwrap_or(0).min(text.len());
    String::from_utf8_lossy(&text[from..]).into_owned()
}

fn failed(message: String) -> PostgresError {
    PostgresError::Failed { program: "postgres".to_owned(), message }
}
