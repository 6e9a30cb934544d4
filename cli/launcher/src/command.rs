//! Running PostgreSQL's own programs: as the right user, in a clean environment, with a deadline.

use crate::{Account, PostgresError};
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What is kept of a program's complaint. Its last line says most; a page is enough for a log.
const MESSAGE_CHARS_MAX: usize = 600;

/// A command that runs as `account`, at `/`, and inherits nothing that changes PostgreSQL's mind:
/// `PGDATA`, `PGPORT` and the locale of the user's shell stay outside.
pub(crate) fn prepare(program: &Path, account: &Account) -> Command {
    let mut command = Command::new(program);
    let inherited = ["PATH", "LD_LIBRARY_PATH", "TMPDIR"]
        .into_iter()
        .filter_map(|key| Some((key, std::env::var_os(key)?)));
    command.env_clear().envs(inherited).env("LC_ALL", "C").env("TZ", "UTC").current_dir("/");
    account.apply(&mut command);
    command
}

/// Runs a program to its end and returns what it wrote to standard output.
pub(crate) async fn run<A: AsRef<OsStr>>(
    program: &Path,
    account: &Account,
    arguments: impl IntoIterator<Item = A>,
    deadline: Duration,
) -> Result<String, PostgresError> {
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    let mut command = prepare(program, account);
    command.args(arguments).stdin(Stdio::null());
    let mut command = tokio::process::Command::from(command);
    // Ends the program when the deadline drops the future.
    command.kill_on_drop(true);
    let output = match tokio::time::timeout(deadline, command.output()).await {
        Err(_) => return Err(PostgresError::Hung { program: name, waited: deadline }),
        Ok(result) => result.map_err(|source| PostgresError::Run { program: program.to_owned(), source })?,
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let message = if said.trim().is_empty() { output.status.to_string() } else { one_line(&said) };
    Err(PostgresError::Failed { program: name, message })
}

/// The end of a program's output, on one line.
pub(crate) fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let joined = lines.join("; ");
    let skip = joined.chars().count().saturating_sub(MESSAGE_CHARS_MAX);
    joined.chars().skip(skip).collect()
}
