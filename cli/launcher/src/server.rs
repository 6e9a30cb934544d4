//! One running server.

use crate::watchdog::Watched;
use crate::{
    Account, PostgresError, ServerOptions, command, data_dir, password, places, processes, template::Template,
};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::fs::{self, File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tenancy::Secret;
use tokio_postgres::NoTls;

/// The superuser of every server that we make.
pub const ADMIN_USER: &str = "postgres";

const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A free port is found by binding and letting go, so somebody else may take it in between.
const PORT_ATTEMPTS_MAX: u32 = 10;

/// How long a stopping server gets for its last checkpoint before it is told to drop everything.
const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// How long a server of an earlier, killed run gets to be stopped by its watchdog.
const PREDECESSOR_DEADLINE: Duration = Duration::from_secs(35);

/// A PostgreSQL server that runs for as long as this value lives.
#[derive(Debug)]
pub struct Server {
    options: ServerOptions,
    account: Account,
    port: u16,
    password: Secret,
    log_path: PathBuf,
    process: Watched,
}

impl Server {
    /// Makes the data directory if it is not there yet, starts the server, and waits until it answers.
    ///
    /// # Errors
    /// When any of that fails or does not end in time; nothing is left running then.
    pub async fn start(options: ServerOptions) -> Result<Self, PostgresError> {
        let account = Account::detect()?;
        let parent = options.data_dir.parent().unwrap_or(Path::new("/"));
        places::reachable(parent, &account)?;
        let (made_with, password) = prepare(&options, &account).await?;
        let log_path = options.data_dir.with_extension("log");
        let (process, port) = launch(&options, &account, &log_path, &made_with).await?;
        let server = Self { options, account, port, password, log_path, process };
        if made_with.expose() != server.password.expose() {
            server.change_password(&made_with).await?;
        }
        Ok(server)
    }

    /// The port that it listens on, on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The password of [`ADMIN_USER`].
    #[must_use]
    pub const fn password(&self) -> &Secret {
        &self.password
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// The version of its programs, such as `15.4`.
    #[must_use]
    pub fn version(&self) -> &str {
        self.options.binaries.version()
    }

    /// Where its data lies.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.options.data_dir
    }

    /// Where its log is written.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log_path
    }

    /// The administrator's connection string for one of its databases.
    #[must_use]
    pub fn dsn(&self, database: &str) -> Secret {
        dsn(self.port, &self.password, database)
    }

    /// Connects as the administrator. The connection ends when the client is dropped.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn connect(&self, database: &str) -> Result<tokio_postgres::Client, PostgresError> {
        connect(self.port, &self.password, database).await
    }

    /// Ends every connection, writes a checkpoint and stops.
    ///
    /// # Errors
    /// When it had to be stopped hard because it took too long.
    pub async fn stop(mut self) -> Result<(), PostgresError> {
        self.end(Signal::SIGINT).await
    }

    /// Stops the server and starts it again on the same port.
    ///
    /// # Errors
    /// When it does not come back.
    pub async fn restart(&mut self) -> Result<(), PostgresError> {
        self.end(Signal::SIGINT).await?;
        self.start_again().await
    }

    /// Starts a server that has ended, on the port that it had.
    ///
    /// # Errors
    /// When it does not come back.
    pub async fn start_again(&mut self) -> Result<(), PostgresError> {
        let options = self.options.clone().port(self.port);
        (self.process, _) = launch(&options, &self.account, &self.log_path, &self.password).await?;
        Ok(())
    }

    /// Freezes the server and its backends: connections stay open and nothing answers.
    pub fn pause(&self) {
        self.signal_all(Signal::SIGSTOP);
    }

    /// Undoes [`Server::pause`].
    pub fn resume(&self) {
        self.signal_all(Signal::SIGCONT);
    }

    /// Kills the server and its backends at once, as a power cut would.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn kill(&mut self) -> Result<(), PostgresError> {
        self.signal_all(Signal::SIGKILL);
        self.end(Signal::SIGKILL).await
    }

    /// Has the server ended?
    pub fn has_exited(&mut self) -> bool {
        self.process.has_exited()
    }

    fn signal_all(&self, signal: Signal) {
        for pid in processes::family(process_id(&self.process)) {
            processes::signal(pid, signal);
        }
    }

    async fn end(&mut self, signal: Signal) -> Result<(), PostgresError> {
        end(&mut self.process, signal).await
    }

    async fn change_password(&self, made_with: &Secret) -> Result<(), PostgresError> {
        let client = connect(self.port, made_with, "postgres").await?;
        // Random passwords and those of the caller alike are quoted; both are ours.
        let quoted = self.password.expose().replace('\'', "''");
        let statement = format!("ALTER ROLE {ADMIN_USER} PASSWORD '{quoted}'");
        let failed = |source| PostgresError::Connect { port: self.port, source };
        client.batch_execute(&statement).await.map_err(failed)
    }
}

impl Drop for Server {
    /// Stops the server without a checkpoint if it need not keep its data, in order otherwise.
    fn drop(&mut self) {
        if self.process.has_exited() {
            return;
        }
        self.resume();
        let pid = process_id(&self.process);
        processes::signal(pid, if self.options.durable { Signal::SIGINT } else { Signal::SIGQUIT });
        let deadline = Instant::now() + STOP_DEADLINE;
        while !self.process.has_exited() && Instant::now() < deadline {
            std::thread::sleep(POLL_INTERVAL);
        }
        if !self.process.has_exited() {
            self.signal_all(Signal::SIGKILL);
        }
    }
}

/// Sees to the data directory. Returns the password that it was made with and the one it is to have.
async fn prepare(options: &ServerOptions, account: &Account) -> Result<(Secret, Secret), PostgresError> {
    let ServerOptions { binaries, data_dir, deadline, .. } = options;
    let wanted = match &options.password {
        Some(password) => password.clone(),
        None => password::random_password()?,
    };
    if data_dir::check_version(data_dir, binaries)? {
        return Ok((wanted.clone(), wanted));
    }
    if options.durable {
        data_dir::initialise(binaries, account, data_dir, &wanted, true, *deadline).await?;
        return Ok((wanted.clone(), wanted));
    }
    let template = Template::obtain(binaries, account, *deadline).await?;
    template.copy_to(binaries, account, data_dir, *deadline).await?;
    Ok((template.password, wanted))
}

/// Starts the process, on another port if the first is taken and any will do.
async fn launch(
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
        match await_ready(&mut process, port, password, options.deadline).await {
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

/// The password is only known to this server, so an answer proves that it is not somebody else's.
async fn await_ready(
    process: &mut Watched,
    port: u16,
    password: &Secret,
    deadline: Duration,
) -> Result<(), PostgresError> {
    let started = Instant::now();
    loop {
        if process.has_exited() {
            return Err(failed("it ended while starting".to_owned()));
        }
        let left = deadline.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Err(PostgresError::Hung { program: "postgres".to_owned(), waited: deadline });
        }
        let answer = tokio::time::timeout(left, connect(port, password, "postgres")).await;
        match answer {
            Ok(Ok(_)) => return Ok(()),
            // A wrong password is only final once the one who answered is known to be ours.
            Ok(Err(error)) if refused_password(&error) && !process.has_exited() => {
                tokio::time::sleep(POLL_INTERVAL * 10).await;
                if !process.has_exited() {
                    return Err(error);
                }
            }
            // Not listening yet; or silent for so long that the next round finds the time over.
            Ok(Err(_)) | Err(_) => tokio::time::sleep(POLL_INTERVAL).await,
        }
    }
}

fn refused_password(error: &PostgresError) -> bool {
    use tokio_postgres::error::SqlState;
    matches!(error, PostgresError::Connect { source, .. } if source.code() == Some(&SqlState::INVALID_PASSWORD))
}

async fn end(process: &mut Watched, signal: Signal) -> Result<(), PostgresError> {
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

async fn connect(
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

fn dsn(port: u16, password: &Secret, database: &str) -> Secret {
    Secret::new(format!("postgres://{ADMIN_USER}:{}@127.0.0.1:{port}/{database}", password.expose()))
}

fn free_port() -> Result<u16, PostgresError> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    bound.map(|address| address.port()).map_err(PostgresError::io("find a free port on", "127.0.0.1"))
}

fn process_id(process: &Watched) -> Pid {
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
