//! The directory that a stack lives in.

use super::{DevError, StackOptions, files};
use catalog_schema::MasterKey;
use launcher::{Account, Scratch, random_password, reachable};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use tenancy::Secret;

/// A stack's directory, locked for as long as the value lives.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
    _lock: File,
    /// Removes what an ephemeral stack has made when dropped.
    _temporary: Option<Temporary>,
}

/// Where an ephemeral stack lives.
#[derive(Debug)]
enum Temporary {
    /// In a directory of its own.
    Scratch { _directory: Scratch },
    /// In one that was named, and is emptied again.
    Named(PathBuf),
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Self::Named(dir) = self {
            // What cannot be removed stays: there is nobody left to tell.
            let _ = empty(dir);
        }
    }
}

/// Says that what is in a directory may be removed: an ephemeral stack has made it.
const EPHEMERAL_MARK: &str = "ephemeral";

/// Removes everything in a directory.
fn empty(dir: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// What is remembered of a PostgreSQL server between runs.
#[derive(Serialize, Deserialize)]
struct ServerNote {
    port: u16,
    password: String,
}

/// The secrets of a stack.
#[derive(Debug)]
pub(super) struct Secrets {
    pub(super) operator_token: Secret,
    pub(super) console_password: Secret,
}

impl Home {
    /// Makes or finds the directory, and locks it.
    pub(super) fn open(options: &StackOptions, account: &Account) -> Result<Self, DevError> {
        let Some(dir) = &options.data_dir else {
            let scratch = Scratch::create()?;
            let path = scratch.path().to_owned();
            return Self::lock(path, Some(Temporary::Scratch { _directory: scratch }));
        };
        // As root others must be able to pass through: PostgreSQL runs as somebody else. What is
        // inside keeps itself private.
        let mode = if nix::unistd::geteuid().is_root() { 0o711 } else { 0o700 };
        let made = DirBuilder::new().recursive(true).mode(mode).create(dir);
        made.map_err(DevError::io("make", dir))?;
        let dir = fs::canonicalize(dir).map_err(DevError::io("find", dir))?;
        fs::read_dir(&dir).map_err(DevError::io("read", &dir))?;
        reachable(&dir, account)?;
        if options.durable { Self::lock(dir, None) } else { Self::empty_in(dir) }
    }

    /// Takes a directory for an ephemeral stack: an empty one, or one that a killed ephemeral stack has left.
    fn empty_in(dir: PathBuf) -> Result<Self, DevError> {
        let mark = dir.join(EPHEMERAL_MARK);
        let holds_something = fs::read_dir(&dir).map_err(DevError::io("read", &dir))?.next().is_some();
        if holds_something && !mark.exists() {
            return Err(DevError::NotEmpty { dir });
        }
        // Locked before anything is removed, so that a running stack is left alone.
        drop(Self::lock(dir.clone(), None)?);
        empty(&dir).map_err(DevError::io("empty", &dir))?;
        File::create(&mark).map_err(DevError::io("write", &mark))?;
        Self::lock(dir.clone(), Some(Temporary::Named(dir)))
    }

    fn lock(path: PathBuf, temporary: Option<Temporary>) -> Result<Self, DevError> {
        let lock_path = path.join("lock");
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&lock_path);
        let mut lock = opened.map_err(DevError::io("write", &lock_path))?;
        if lock.try_lock().is_err() {
            let mut owner = String::new();
            // Without its number the message still says what is wrong.
            let _ = lock.read_to_string(&mut owner);
            return Err(DevError::InUse { dir: path, owner: owner.trim().to_owned() });
        }
        let noted = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
        noted.map_err(DevError::io("write", &lock_path))?;
        let servers = path.join("postgres");
        let made = DirBuilder::new().recursive(true).mode(0o711).create(&servers);
        made.map_err(DevError::io("make", &servers))?;
        Ok(Self { path, _lock: lock, _temporary: temporary })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The data directory of one PostgreSQL server.
    pub(super) fn server_dir(&self, name: &str) -> PathBuf {
        self.path.join("postgres").join(name)
    }

    /// Finds or makes the operator token and the master key.
    pub(super) fn secrets(&self) -> Result<Secrets, DevError> {
        let operator_token = files::lasting_secret(&self.file("operator-token"), || Ok(random_password()?))?;
        files::lasting_secret(&self.file("master-key"), || {
            let key = MasterKey::generate().map_err(|error| DevError::Catalog(error.to_string()))?;
            Ok(key.to_base64())
        })?;
        let console_password =
            files::lasting_secret(&self.file("console-password"), || Ok(random_password()?))?;
        Ok(Secrets { operator_token, console_password })
    }

    /// Port and password of a server that was started here before.
    pub(super) fn recall(&self, server: &str) -> Result<Option<(u16, Secret)>, DevError> {
        let path = self.note_path(server);
        let Some(text) = files::read(&path)? else { return Ok(None) };
        let note: ServerNote = serde_json::from_str(&text)
            .map_err(|error| DevError::Damaged { path, reason: error.to_string() })?;
        Ok(Some((note.port, Secret::new(note.password))))
    }

    /// Keeps port and password of a server for the next start.
    pub(super) fn note(&self, server: &str, port: u16, password: &Secret) -> Result<(), DevError> {
        let note = ServerNote { port, password: password.expose().to_owned() };
        let text = serde_json::to_string(&note).expect("a number and a text always serialise");
        files::write_private(&self.note_path(server), &text)
    }

    fn note_path(&self, server: &str) -> PathBuf {
        self.path.join("postgres").join(format!("{server}.json"))
    }
}
