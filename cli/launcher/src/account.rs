//! Whom the server runs as: PostgreSQL refuses to run as root, so as root we become somebody else.

use crate::PostgresError;
use nix::unistd::{User, geteuid};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Tried in turn. Debian's package makes the first; every system has the second. The user must have
/// an entry in the password database: `initdb` looks itself up.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// The unprivileged user that servers and their tools run as.
#[derive(Debug, Clone)]
pub struct Account {
    name: String,
    uid: u32,
    /// `None` when we are that user already.
    switch_to_gid: Option<u32>,
}

impl Account {
    /// Ourselves, or when we are root the first candidate that exists.
    ///
    /// # Errors
    /// When we are root and there is nobody to become.
    pub fn detect() -> Result<Self, PostgresError> {
        let uid = geteuid();
        if !uid.is_root() {
            let name = User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
            return Ok(Self { name, uid: uid.as_raw(), switch_to_gid: None });
        }
        CANDIDATES
            .iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .map(|user| Self {
                name: user.name,
                uid: user.uid.as_raw(),
                switch_to_gid: Some(user.gid.as_raw()),
            })
            .ok_or(PostgresError::NoAccount)
    }

    /// The user's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The user's id.
    #[must_use]
    pub const fn uid(&self) -> u32 {
        self.uid
    }

    /// The group that we would become, when we are root.
    pub(crate) const fn gid(&self) -> Option<u32> {
        self.switch_to_gid
    }

    /// Makes the command run as this user. The standard library then drops our other groups too.
    pub(crate) fn apply(&self, command: &mut Command) {
        if let Some(gid) = self.switch_to_gid {
            command.uid(self.uid).gid(gid);
        }
    }

    /// Hands a file or directory that we just made to this user.
    pub(crate) fn own(&self, path: &Path) -> Result<(), PostgresError> {
        match self.switch_to_gid {
            Some(gid) => chown(path, Some(self.uid), Some(gid)).map_err(PostgresError::io("hand over", path)),
            None => Ok(()),
        }
    }
}
