//! Where a local stack lives when nobody says, and how the verbs find the one that runs.

use super::DevError;
use nix::unistd::geteuid;
use std::fs;
use std::path::{Path, PathBuf};

/// Names the data directory of the stack that was started last.
const POINTER_NAME: &str = "running";

/// The data directory of `tenantry dev`. For root a system directory: the user that PostgreSQL then
/// runs as cannot enter root's home.
#[must_use]
pub fn default_data_dir() -> PathBuf {
    base().join("dev")
}

fn base() -> PathBuf {
    if geteuid().is_root() {
        return PathBuf::from("/var/lib/tenantry");
    }
    let absolute = |key| std::env::var_os(key).map(PathBuf::from).filter(|dir| dir.is_absolute());
    absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/share"))).map_or_else(
        || std::env::temp_dir().join(format!("tenantry-{}", geteuid())),
        |data| data.join("tenantry"),
    )
}

/// The data directory of the stack that was started last and still runs.
#[must_use]
pub fn running_data_dir() -> Option<PathBuf> {
    let dir = fs::read_to_string(base().join(POINTER_NAME)).ok()?;
    Some(PathBuf::from(dir.trim())).filter(|dir| dir.join(crate::client::DESCRIPTOR_NAME).is_file())
}

/// Notes down which stack runs, for as long as the value lives.
///
/// # Errors
/// When the place for it cannot be written to.
pub fn announce(data_dir: &Path) -> Result<Announcement, DevError> {
    let base = base();
    fs::create_dir_all(&base).map_err(DevError::io("make", &base))?;
    let pointer = base.join(POINTER_NAME);
    let text = data_dir.display().to_string();
    fs::write(&pointer, &text).map_err(DevError::io("write", &pointer))?;
    Ok(Announcement { pointer, text })
}

/// Takes the note back when it is dropped, unless another stack has put its own there.
#[derive(Debug)]
pub struct Announcement {
    pointer: PathBuf,
    text: String,
}

impl Drop for Announcement {
    fn drop(&mut self) {
        if fs::read_to_string(&self.pointer).is_ok_and(|text| text == self.text) {
            let _ = fs::remove_file(&self.pointer);
        }
    }
}
