//! Directories of ours, and whether the unprivileged user can get into a directory.

use crate::{Account, PostgresError};
use nix::unistd::geteuid;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Where things are kept that can be made again: server templates and downloaded binaries.
///
/// For root it is a system directory, because the user that servers run as cannot enter root's home.
#[must_use]
pub fn cache_dir() -> PathBuf {
    if geteuid().is_root() {
        return PathBuf::from("/var/cache/tenantry");
    }
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_dir());
    std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|dir| dir.is_absolute())
        .or_else(|| home.map(|home| home.join(".cache")))
        .map_or_else(
            || std::env::temp_dir().join(format!("tenantry-cache-{}", geteuid())),
            |cache| cache.join("tenantry"),
        )
}

/// Makes a directory and its parents, as ours. With `mode` 0755 others may enter, with 0700 not.
pub(crate) fn make_dir(path: &Path, mode: u32) -> Result<(), PostgresError> {
    DirBuilder::new().recursive(true).mode(mode).create(path).map_err(PostgresError::io("make", path))?;
    // Somebody else's directory under a name that we could guess would be a trap.
    let owner = fs::metadata(path).map_err(PostgresError::io("look at", path))?.uid();
    if owner == geteuid().as_raw() {
        Ok(())
    } else {
        let source = std::io::Error::other(format!("it belongs to user {owner}"));
        Err(PostgresError::Io { action: "use", path: path.to_owned(), source })
    }
}

/// Checks that the user which servers run as can enter `dir`, and names the place where it cannot.
///
/// # Errors
/// `Unreachable` with the first directory that bars the way; `Io` when one cannot be looked at.
pub fn reachable(dir: &Path, account: &Account) -> Result<(), PostgresError> {
    let Some(gid) = account.gid() else { return Ok(()) };
    let dir = fs::canonicalize(dir).map_err(PostgresError::io("find", dir))?;
    let mut way: Vec<&Path> = dir.ancestors().collect();
    way.reverse();
    for step in way {
        let seen = fs::metadata(step).map_err(PostgresError::io("look at", step))?;
        let enter = match (seen.uid() == account.uid(), seen.gid() == gid) {
            (true, _) => 0o100,
            (false, true) => 0o010,
            (false, false) => 0o001,
        };
        if seen.mode() & enter == 0 {
            return Err(PostgresError::Unreachable {
                user: account.name().to_owned(),
                path: step.to_owned(),
            });
        }
    }
    Ok(())
}
