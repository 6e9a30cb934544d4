//! Files that only their owner may read, and that are whole or not there.

use super::DevError;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use tenancy::Secret;

/// Writes a private file so that a reader sees the old content or the new, never half of it.
pub(super) fn write_private(path: &Path, content: &str) -> Result<(), DevError> {
    let unfinished = path.with_extension("unfinished");
    // One that an earlier run left might have another mode.
    let _ = fs::remove_file(&unfinished);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished);
    file.and_then(|mut file| {
        file.write_all(content.as_bytes())?;
        file.sync_all()
    })
    .map_err(DevError::io("write", &unfinished))?;
    fs::rename(&unfinished, path).map_err(DevError::io("write", path))
}

/// Reads a file; `None` when there is none.
pub(super) fn read(path: &Path) -> Result<Option<String>, DevError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(DevError::Io { action: "read", path: path.to_owned(), source }),
    }
}

/// The secret in a file, which is made on the first start and then stays the same.
pub(super) fn lasting_secret(
    path: &Path,
    make: impl FnOnce() -> Result<Secret, DevError>,
) -> Result<Secret, DevError> {
    if let Some(text) = read(path)? {
        return Ok(Secret::new(text.trim().to_owned()));
    }
    let secret = make()?;
    write_private(path, &format!("{}\n", secret.expose()))?;
    Ok(secret)
}
