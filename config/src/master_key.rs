//! Where the master key comes from. It is read when the process starts and never written back.

use crate::section::Section;
use std::path::{Path, PathBuf};
use tenancy::Secret;

/// The variable that holds the master key when the file does not say otherwise.
pub const MASTER_KEY_VARIABLE: &str = "TENANTRY_MASTER_KEY";

/// A secret file is one line; anything much longer is not one, and is not read into memory.
const SECRET_FILE_BYTES_MAX: u64 = 64 * 1024;

/// The place of the key that opens the catalog's secrets: 32 bytes in base64.
///
/// Every process of an installation needs the same one. Without it the catalog's secrets are lost,
/// so it is kept apart from the catalog's backups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MasterKeySource {
    /// `master_key_file`: a file with the key on its only line.
    File(PathBuf),
    /// `master_key_env`: the name of a variable that holds the key; `TENANTRY_MASTER_KEY` if neither is set.
    Env(String),
}

impl Default for MasterKeySource {
    fn default() -> Self {
        Self::Env(MASTER_KEY_VARIABLE.to_owned())
    }
}

/// A secret that is not where the settings say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretUnreadable {
    /// The file is missing, unreadable, not text, or far too long.
    #[error("{path} cannot be read: {reason}")]
    File {
        /// The file.
        path: String,
        /// Why it cannot be read.
        reason: String,
    },
    /// The file or the variable holds nothing.
    #[error("{0} is empty")]
    Empty(String),
    /// The variable is not set.
    #[error("the variable {0} is not set")]
    NotSet(String),
}

impl MasterKeySource {
    /// The key's text (base64), without surrounding blanks.
    ///
    /// # Errors
    /// When the file cannot be read, the variable is not set, or either is empty.
    pub fn read(&self) -> Result<Secret, SecretUnreadable> {
        match self {
            Self::File(path) => read_secret_file(path),
            Self::Env(name) => match std::env::var(name) {
                Ok(text) => non_blank(&text, name),
                Err(_) => Err(SecretUnreadable::NotSet(name.clone())),
            },
        }
    }

    /// Takes the three ways to say it and checks that a key is really there, so that a process
    /// reports this mistake with all the others.
    pub(crate) fn read_from(section: &mut Section<'_>) -> Self {
        if section.discard("master_key") {
            section
                .problem("master_key", "does not stand in this file: use master_key_file or master_key_env");
        }
        let file: Option<PathBuf> = section.optional("master_key_file");
        let variable: Option<String> = section.optional("master_key_env");
        if file.is_some() && variable.is_some() {
            section.problem("master_key_file", "is given beside master_key_env: keep one");
        }
        match file {
            Some(path) => {
                if let Err(why) = read_secret_file(&path) {
                    section.problem("master_key_file", why.to_string());
                }
                Self::File(path)
            }
            None => {
                let name = variable.unwrap_or_else(|| MASTER_KEY_VARIABLE.to_owned());
                if section.environment(&name).is_none() {
                    let hint = "set it, or master_key_file in the file";
                    section.problem("master_key", format!("the variable {name} is not set ({hint})"));
                }
                Self::Env(name)
            }
        }
    }
}

/// Reads a secret that is alone in its file.
pub(crate) fn read_secret_file(path: &Path) -> Result<Secret, SecretUnreadable> {
    let shown = path.display().to_string();
    let unreadable = |reason: String| SecretUnreadable::File { path: shown.clone(), reason };
    let size = std::fs::metadata(path).map_err(|why| unreadable(why.to_string()))?.len();
    if size > SECRET_FILE_BYTES_MAX {
        return Err(unreadable(format!("{size} bytes are too many for a secret")));
    }
    let text = std::fs::read_to_string(path).map_err(|why| unreadable(why.to_string()))?;
    non_blank(&text, &shown)
}

fn non_blank(text: &str, place: &str) -> Result<Secret, SecretUnreadable> {
    match text.trim() {
        "" => Err(SecretUnreadable::Empty(place.to_owned())),
        secret => Ok(Secret::new(secret.to_owned())),
    }
}
