//! A PgBouncer before a server's tenants, in transaction mode.

use super::process::Process;
use super::{WorldError, free_port, verifier};
use launcher::Account;
use nix::unistd::geteuid;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tokio::net::TcpStream;

/// What of it is to be known.
pub(crate) struct PgBouncer {
    pub(crate) process: Process,
    pub(crate) port: u16,
}

/// What it is to be like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// The server's port.
    pub(crate) server_port: u16,
    /// Tenants in its file of users, from 1.
    pub(crate) users: u32,
    /// Server connections of one tenant.
    pub(crate) pool_size: u32,
    /// Whether statements prepared by clients are followed; 1.21 and later know the setting.
    pub(crate) prepared: bool,
}

impl PgBouncer {
    /// Starts it.
    pub(crate) async fn start(program: &Path, home: &Path, settings: Settings) -> Result<Self, WorldError> {
        let port = free_port()?;
        let dir = home.join("pgbouncer");
        fs::create_dir_all(&dir).map_err(WorldError::file(&dir))?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).map_err(WorldError::file(&dir))?;
        let ini = dir.join("pgbouncer.ini");
        write_files(&dir, &ini, port, settings)?;
        let mut arguments = vec!["-q".to_owned()];
        if geteuid().is_root() {
            arguments.extend(["-u".to_owned(), Account::detect()?.name().to_owned()]);
        }
        arguments.push(ini.display().to_string());
        let mut process = Process::start(program, &arguments, &dir.join("log"))?;
        process.ready(async || TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await?;
        Ok(Self { process, port })
    }
}

/// Its configuration and its users, with verifiers in place of passwords: it then hashes nothing, as our gateway.
pub(crate) fn write_files(dir: &Path, ini: &Path, port: u16, settings: Settings) -> Result<(), WorldError> {
    let (users, verifier) = (dir.join("users"), verifier()?);
    let mut lines = String::new();
    for n in 1..=settings.users {
        let _ = writeln!(lines, "\"u{n}\" \"{verifier}\"");
    }
    fs::write(&users, lines).map_err(WorldError::file(&users))?;
    let prepared = if settings.prepared { "max_prepared_statements = 200" } else { "" };
    let text = format!(
        "[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {users}\npool_mode = transaction\n\
         default_pool_size = {pool}\nmax_client_conn = 50000\nlog_connections = 0\nlog_disconnections = 0\n\
         log_pooler_errors = 0\nserver_idle_timeout = 60\nquery_wait_timeout = 10\n{prepared}\n",
        server = settings.server_port,
        users = users.display(),
        pool = settings.pool_size,
    );
    fs::write(ini, text).map_err(WorldError::file(ini))
}
