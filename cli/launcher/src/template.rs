//! Data directories by copy: `initdb` takes most of a second, copying what it made a fraction.
//!
//! One template is kept per binary and user, made once by whoever comes first while the others wait
//! for its lock. Copies are for servers that may lose their data: nothing here is synced to disk.

use crate::{Account, Binaries, PostgresError, command, control_file, data_dir, password, places};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tenancy::Secret;

/// Raised when templates are made differently, so that old ones are left alone.
const LAYOUT: u32 = 1;

/// Writes a new log into a copy, to agree with its new identity.
const RESET_WAL: &str = "pg_resetwal";

/// A data directory to copy, and its administrator's password.
#[derive(Debug)]
pub(crate) struct Template {
    data_dir: PathBuf,
    pub(crate) password: Secret,
}

impl Template {
    /// Can a copy be given an identity of its own? Some packages hold no more programs than it takes to run a server.
    pub(crate) fn can_be_copied(binaries: &Binaries) -> bool {
        binaries.server_tool(RESET_WAL).is_file()
    }

    /// Finds the template for these binaries and this user, or makes it.
    pub(crate) async fn obtain(
        binaries: &Binaries,
        account: &Account,
        deadline: Duration,
    ) -> Result<Self, PostgresError> {
        let parent = places::cache_dir().join("templates");
        places::make_dir(&parent, 0o755)?;
        places::reachable(&parent, account)?;
        let name = name(binaries, account);
        let dir = parent.join(&name);
        if !dir.is_dir() {
            let _lock = lock(&parent.join(format!("{name}.lock"))).await?;
            // Somebody may have made it while we waited.
            if !dir.is_dir() {
                let unfinished = parent.join(format!("{name}.unfinished"));
                make(binaries, account, &unfinished, deadline).await?;
                // Appears whole or not at all.
                fs::rename(&unfinished, &dir).map_err(PostgresError::io("make", &dir))?;
            }
        }
        let secret = dir.join("password");
        let password = fs::read_to_string(&secret).map_err(PostgresError::io("read", &secret))?;
        Ok(Self { data_dir: dir.join("data"), password: Secret::new(password) })
    }

    /// Copies the template to `target`, which does not exist yet, and gives it an identity of its own.
    pub(crate) async fn copy_to(
        &self,
        binaries: &Binaries,
        account: &Account,
        target: &Path,
        deadline: Duration,
    ) -> Result<(), PostgresError> {
        data_dir::make_private(target, account)?;
        // The server's user copies, so that no file is ever root's and no path is followed as root.
        let from = self.data_dir.join(".");
        let arguments = [Path::new("-R"), from.as_path(), target];
        command::run(Path::new("/bin/cp"), account, arguments, deadline).await?;
        control_file::set_system_identifier(target, random_identifier()?)?;
        let reset = binaries.server_tool(RESET_WAL);
        command::run(&reset, account, [target], deadline).await.map(drop)
    }
}

/// Such as `1-15.4-105-usr-lib-postgresql-15-bin`.
fn name(binaries: &Binaries, account: &Account) -> String {
    let place = binaries.dir().to_string_lossy().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    format!("{LAYOUT}-{}-{}{place}", binaries.version(), account.uid())
}

/// Waits for the lock in a thread of its own: the holder runs `initdb`.
async fn lock(path: &Path) -> Result<File, PostgresError> {
    let file = File::create(path).map_err(PostgresError::io("make", path))?;
    let held = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
    held.unwrap_or_else(|stopped| Err(std::io::Error::other(stopped)))
        .map_err(PostgresError::io("lock", path))
}

async fn make(
    binaries: &Binaries,
    account: &Account,
    dir: &Path,
    deadline: Duration,
) -> Result<(), PostgresError> {
    if dir.exists() {
        fs::remove_dir_all(dir).map_err(PostgresError::io("remove", dir))?;
    }
    places::make_dir(dir, 0o755)?;
    let password = password::random_password()?;
    let data = dir.join("data");
    data_dir::initialise(binaries, account, &data, &password, false, deadline).await?;
    empty_wal(&data)?;
    write_private(&dir.join("password"), password.expose())
}

/// `pg_resetwal` writes a new log into every copy, so the template's 16 MB need not be copied.
fn empty_wal(data: &Path) -> Result<(), PostgresError> {
    let wal = data.join("pg_wal");
    for entry in fs::read_dir(&wal).map_err(PostgresError::io("read", &wal))?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            fs::remove_file(entry.path()).map_err(PostgresError::io("remove", entry.path()))?;
        }
    }
    Ok(())
}

fn write_private(path: &Path, text: &str) -> Result<(), PostgresError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(PostgresError::io("write", path))
}

/// PostgreSQL makes its identifiers from the clock; it asks nothing of them but to differ. The top bit
/// stays clear because SQL shows the number as a signed one.
fn random_identifier() -> Result<u64, PostgresError> {
    let random = getrandom::u64().map_err(|_| PostgresError::Randomness)?;
    Ok((random >> 1) | 1)
}
