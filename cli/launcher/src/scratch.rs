//! Directories for things that need not outlive the process.

use crate::PostgresError;
use nix::unistd::geteuid;
use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

const PREFIX: &str = "tenantry-scratch-";
const LOCK_NAME: &str = "in-use.lock";

/// A directory younger than this may still be on its way to being locked, and the servers of one whose
/// owner was killed are still being stopped.
const SWEEP_AGE_MIN: Duration = Duration::from_secs(120);

/// A temporary directory that goes when it is dropped. If its owner is killed instead, the next
/// owner of one sweeps it away.
#[derive(Debug)]
pub struct Scratch {
    dir: TempDir,
    /// Held for as long as the directory is in use; the system lets go of it however we end.
    _lock: File,
}

impl Scratch {
    /// Makes one in the system's directory for temporary files.
    ///
    /// # Errors
    /// When that directory cannot be written to.
    pub fn create() -> Result<Self, PostgresError> {
        let parent = std::env::temp_dir();
        sweep(&parent);
        // Others may pass through, since servers may run as another user; each keeps its data to itself.
        let dir = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o711))
            .tempdir_in(&parent)
            .map_err(PostgresError::io("make a directory in", &parent))?;
        let lock_path = dir.path().join(LOCK_NAME);
        let lock = File::create(&lock_path).map_err(PostgresError::io("make", &lock_path))?;
        lock.lock().map_err(PostgresError::io("lock", &lock_path))?;
        Ok(Self { dir, _lock: lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Removes what killed processes of ours left. What cannot be removed is left for the next time.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && is_abandoned(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_abandoned(dir: &Path) -> bool {
    let Ok(seen) = fs::symlink_metadata(dir) else { return false };
    let age = seen.modified().ok().and_then(|time| SystemTime::now().duration_since(time).ok());
    if !seen.is_dir() || seen.uid() != geteuid().as_raw() || age.is_none_or(|age| age < SWEEP_AGE_MIN) {
        return false;
    }
    // Without its lock file it was left half removed.
    OpenOptions::new().write(true).open(dir.join(LOCK_NAME)).is_ok_and(|lock| lock.try_lock().is_ok())
}
