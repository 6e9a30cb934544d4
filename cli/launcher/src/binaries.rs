//! Finding PostgreSQL's programs.

use crate::{Account, PostgresError, cache_dir, command};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The oldest PostgreSQL that Tenantry works with.
pub const VERSION_MAJOR_MIN: u32 = 15;

/// `postgres --version` prints one line and ends; a program that takes longer is not PostgreSQL.
const VERSION_DEADLINE: Duration = Duration::from_secs(10);

/// Where distributions put each major version: Debian and Ubuntu; Red Hat and its kin.
const DISTRIBUTION_DIRS: [(&str, &str); 2] = [("/usr/lib/postgresql", ""), ("/usr", "pgsql-")];

/// A directory of PostgreSQL programs whose version has been asked.
#[derive(Debug, Clone)]
pub struct Binaries {
    dir: PathBuf,
    major: u32,
    version: String,
}

impl Binaries {
    /// Finds a server: `explicit` or `TENANTRY_PG_BIN` and nothing else if given; otherwise `PATH`,
    /// then the distribution's directories with the newest first, then our own cache.
    ///
    /// With `major`, a server of that version is preferred, since only it can open an existing
    /// data directory; if there is none the best other one is returned, and the caller complains.
    ///
    /// # Errors
    /// When there is none, or the one that was named is missing or too old.
    pub async fn find(explicit: Option<&Path>, major: Option<u32>) -> Result<Self, PostgresError> {
        let account = Account::detect()?;
        let named = explicit.map(Path::to_owned).or_else(|| {
            std::env::var_os("TENANTRY_PG_BIN").filter(|value| !value.is_empty()).map(PathBuf::from)
        });
        if let Some(dir) = named {
            return Self::at(&dir, &account).await;
        }
        let mut best: Option<Self> = None;
        for dir in candidates() {
            // What cannot be run, or is too old, is simply not a candidate.
            let Ok(found) = Self::at(&dir, &account).await else { continue };
            if major.is_none_or(|wanted| wanted == found.major) {
                return Ok(found);
            }
            best.get_or_insert(found);
        }
        best.ok_or(PostgresError::NotFound { minimum: VERSION_MAJOR_MIN })
    }

    /// The programs in one directory.
    async fn at(dir: &Path, account: &Account) -> Result<Self, PostgresError> {
        if !is_server_dir(dir) {
            return Err(PostgresError::NotThere { dir: dir.to_owned() });
        }
        let dir = resolve(dir)?;
        let said = command::run(&dir.join("postgres"), account, ["--version"], VERSION_DEADLINE).await?;
        let (major, version) = parse_version(&said).ok_or_else(|| PostgresError::Failed {
            program: "postgres".to_owned(),
            message: format!("--version says \"{}\"", command::one_line(&said)),
        })?;
        if major < VERSION_MAJOR_MIN {
            return Err(PostgresError::TooOld { dir, found: version, minimum: VERSION_MAJOR_MIN });
        }
        Ok(Self { dir, major, version })
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The major version, such as 15.
    #[must_use]
    pub const fn major(&self) -> u32 {
        self.major
    }

    /// The full version, such as `15.4`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// A client program such as `psql` or `pgbench`: from the same directory, else from `PATH`,
    /// since distributions package clients apart from servers.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<PathBuf> {
        std::iter::once(self.dir.clone())
            .chain(path_dirs())
            .map(|dir| dir.join(name))
            .find(|path| path.is_file())
    }

    pub(crate) fn server_tool(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

fn is_server_dir(dir: &Path) -> bool {
    dir.join("postgres").is_file() && dir.join("initdb").is_file()
}

/// Follows `postgres` when it is a link, as in `/usr/local/bin`: its siblings are more than are linked there.
fn resolve(dir: &Path) -> Result<PathBuf, PostgresError> {
    let program = dir.join("postgres");
    let real = fs::canonicalize(&program).map_err(PostgresError::io("find", &program))?;
    match real.parent().filter(|parent| is_server_dir(parent)) {
        Some(parent) => Ok(parent.to_owned()),
        None => fs::canonicalize(dir).map_err(PostgresError::io("find", dir)),
    }
}

fn path_dirs() -> Vec<PathBuf> {
    std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

fn candidates() -> Vec<PathBuf> {
    let distributions =
        DISTRIBUTION_DIRS.into_iter().flat_map(|(parent, prefix)| versioned(Path::new(parent), prefix));
    path_dirs()
        .into_iter()
        .chain(distributions)
        .chain(versioned(&cache_dir().join("postgresql"), ""))
        .filter(|dir| is_server_dir(dir))
        .collect()
}

/// `parent/<prefix><number>/bin`, the highest number first.
fn versioned(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let mut found: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let number = name.strip_prefix(prefix)?.parse().ok()?;
            Some((number, entry.path().join("bin")))
        })
        .collect();
    found.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    found.into_iter().map(|(_, dir)| dir).collect()
}

/// Reads `postgres (PostgreSQL) 15.4 (Debian 15.4-1)`, also `17beta1` and `18devel`.
fn parse_version(said: &str) -> Option<(u32, String)> {
    let version = said.split("(PostgreSQL)").nth(1)?.split_whitespace().next()?;
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    Some((version.get(..digits)?.parse().ok()?, version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::parse_version;

    #[test]
    fn versions_are_read_as_distributions_print_them() {
        for (said, major, version) in [
            ("postgres (PostgreSQL) 15.4 (Debian 15.4-1.pgdg120+1)\n", 15, "15.4"),
            ("postgres (PostgreSQL) 18.4\n", 18, "18.4"),
            ("postgres (PostgreSQL) 17beta1", 17, "17beta1"),
        ] {
            assert_eq!(parse_version(said), Some((major, version.to_owned())), "{said}");
        }
        assert_eq!(parse_version("hello"), None);
    }
}
