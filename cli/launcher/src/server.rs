//! One running server.

use crate::launch::{POLL_INTERVAL, STOP_DEADLINE, connect, dsn, end, launch, prepare, process_id};
use crate::watchdog::Watched;
use crate::{Account, PostgresError, ServerOptions, places, processes};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tenancy::Secret;

/// The superuser of every server that we make.
pub const ADMIN_USER: &str = "postgres";

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

    /// Has it speak TLS with this certificate and key, both in PEM, on connections from then on.
    ///
    /// # Errors
    /// When the files cannot be written, or the server does not take them.
    pub async fn speak_tls(&self, certificate: &str, key: &Secret) -> Result<(), PostgresError> {
        for (name, text) in [("server.crt", certificate), ("server.key", key.expose())] {
            let path = self.options.data_dir.join(name);
            write_private(&path, text).map_err(PostgresError::io("write", &path))?;
            self.account.own(&path)?;
        }
        let failed = |source| PostgresError::Connect { port: self.port, source };
        let client = self.connect("postgres").await?;
        client.batch_execute("alter system set ssl = on").await.map_err(failed)?;
        client.batch_execute("select pg_reload_conf()").await.map_err(failed)?;
        let deadline = Instant::now() + self.options.deadline;
        loop {
            let shown = client.query_one("show ssl", &[]).await.map_err(failed)?;
            if shown.get::<_, &str>(0) == "on" {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(PostgresError::io("use", &self.options.data_dir.join("server.crt"))(
                    std::io::ErrorKind::InvalidData.into(),
                ));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Freezes the server and its backends: connections stay open and nothing answers.
    pub fn pause(&self) {
        self.signal_all(Signal::SIGSTOP);
    }

    /// Undoes [`Server::pause`].
    pub fn resume(&self) {
        self.signal_all(Signal::SIGCONT);
    }

    /// Kills the server and its backends at once, as a power cut would, and returns when none of them runs.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn kill(&mut self) -> Result<(), PostgresError> {
        let family = self.signal_all(Signal::SIGKILL);
        self.end(Signal::SIGKILL).await?;
        // The server is not there any more to wait for its backends. On a busy machine one may read a little longer.
        let killed = Instant::now();
        while family.iter().any(|pid| processes::runs(*pid)) {
            if killed.elapsed() > STOP_DEADLINE {
                return Err(PostgresError::Hung { program: "postgres".to_owned(), waited: STOP_DEADLINE });
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    /// Has the server ended?
    pub fn has_exited(&mut self) -> bool {
        self.process.has_exited()
    }

    fn signal_all(&self, signal: Signal) -> Vec<Pid> {
        let family = processes::family(process_id(&self.process));
        for pid in &family {
            processes::signal(*pid, signal);
        }
        family
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

/// PostgreSQL refuses a key that others may read.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
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
