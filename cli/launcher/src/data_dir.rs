//! Making a data directory with `initdb`, and asking an existing one what made it.

use crate::{Account, Binaries, PostgresError, command, server::ADMIN_USER};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tenancy::Secret;

/// The preferred locale knows letters beyond ASCII; not every system has it.
const LOCALES: [&str; 2] = ["C.UTF-8", "C"];

/// The major version that made a data directory; `None` when there is none there.
///
/// # Errors
/// When the directory is there and cannot be read.
pub fn version_of(data_dir: &Path) -> Result<Option<u32>, PostgresError> {
    let file = data_dir.join("PG_VERSION");
    match fs::read_to_string(&file) {
        Ok(text) => text.trim().parse().map(Some).map_err(|_| PostgresError::Io {
            action: "understand",
            path: file,
            source: std::io::Error::from(ErrorKind::InvalidData),
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PostgresError::Io { action: "read", path: file, source }),
    }
}

/// Refuses a data directory that this server could not open.
pub(crate) fn check_version(data_dir: &Path, binaries: &Binaries) -> Result<bool, PostgresError> {
    match version_of(data_dir)? {
        None => Ok(false),
        Some(data) if data == binaries.major() => Ok(true),
        Some(data) => {
            Err(PostgresError::OtherVersion { dir: data_dir.to_owned(), data, server: binaries.major() })
        }
    }
}

/// Makes an empty directory that only the server's user may enter.
pub(crate) fn make_private(dir: &Path, account: &Account) -> Result<(), PostgresError> {
    DirBuilder::new().mode(0o700).create(dir).map_err(PostgresError::io("make", dir))?;
    account.own(dir)
}

/// Makes a data directory with `initdb`; its parent exists. It appears whole or not at all, since half
/// of one, left by a run that was killed, could not be told from a real one.
pub(crate) async fn initialise(
    binaries: &Binaries,
    account: &Account,
    dir: &Path,
    password: &Secret,
    durable: bool,
    deadline: Duration,
) -> Result<(), PostgresError> {
    let unfinished = dir.with_extension("unfinished");
    let password_file = PasswordFile::write(dir, password, account)?;
    let mut outcome = Ok(());
    for locale in LOCALES {
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(PostgresError::io("remove", &unfinished))?;
        }
        make_private(&unfinished, account)?;
        let password = &password_file.path;
        outcome = run_initdb(binaries, account, &unfinished, password, locale, durable, deadline).await;
        if !outcome.as_ref().is_err_and(is_unknown_locale) {
            break;
        }
    }
    outcome?;
    fs::rename(&unfinished, dir).map_err(PostgresError::io("make", dir))
}

async fn run_initdb(
    binaries: &Binaries,
    account: &Account,
    dir: &Path,
    password_file: &Path,
    locale: &str,
    durable: bool,
    deadline: Duration,
) -> Result<(), PostgresError> {
    let mut arguments = vec![
        format!("--pgdata={}", dir.display()),
        format!("--username={ADMIN_USER}"),
        format!("--pwfile={}", password_file.display()),
        format!("--locale={locale}"),
        "--auth=scram-sha-256".to_owned(),
        "--encoding=UTF8".to_owned(),
    ];
    if !durable {
        arguments.push("--no-sync".to_owned());
    }
    command::run(&binaries.server_tool("initdb"), account, arguments, deadline).await.map(drop)
}

fn is_unknown_locale(error: &PostgresError) -> bool {
    matches!(error, PostgresError::Failed { message, .. } if message.contains("locale"))
}

/// A password on its way to `initdb`; gone when dropped.
struct PasswordFile {
    path: PathBuf,
}

impl PasswordFile {
    fn write(data_dir: &Path, password: &Secret, account: &Account) -> Result<Self, PostgresError> {
        let path = data_dir.with_extension("password");
        // A run that was killed may have left one.
        let _ = fs::remove_file(&path);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(PostgresError::io("make", &path))?;
        let written = Self { path };
        file.write_all(password.expose().as_bytes()).map_err(PostgresError::io("write", &written.path))?;
        account.own(&written.path)?;
        Ok(written)
    }
}

impl Drop for PasswordFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
