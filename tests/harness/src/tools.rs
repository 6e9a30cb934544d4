//! PostgreSQL's own client programs, and others that speak to the gateway.

use launcher::Binaries;
use std::ffi::OsStr;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::wait::DEADLINE;

/// How a program ended and what it said.
#[derive(Debug)]
pub struct Output {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Standard output of a program that succeeded.
    ///
    /// # Panics
    /// When it did not.
    #[must_use]
    pub fn success(self) -> String {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self.stdout
    }
}

/// One of PostgreSQL's client programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// The terminal.
    Psql,
    /// The load generator.
    Pgbench,
    /// The dumper.
    PgDump,
}

impl Tool {
    /// Runs it to its end with something on standard input.
    ///
    /// # Panics
    /// When it cannot be run, or does not end.
    pub async fn run<A: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = A>, input: &str) -> Output {
        let name = match self {
            Self::Psql => "psql",
            Self::Pgbench => "pgbench",
            Self::PgDump => "pg_dump",
        };
        let binaries = Binaries::find(None, None).await.expect("PostgreSQL is installed");
        let program = binaries.tool(name);
        let mut command = Command::new(program.unwrap_or_else(|| panic!("{name} is not installed")));
        // The user's own settings and password file are not part of the test.
        command.env("PSQLRC", "/dev/null").env("PGPASSFILE", "/dev/null").env("LC_ALL", "C").args(arguments);
        if self == Self::Psql {
            command.arg("--no-psqlrc");
        }
        run(command, input).await
    }
}

/// Runs a program to its end with something on standard input.
///
/// # Panics
/// When it cannot be run, or does not end.
pub async fn run(command: Command, input: &str) -> Output {
    run_within(command, input, DEADLINE * 2).await
}

/// The same for a program that takes longer by design.
///
/// # Panics
/// When it cannot be run, or does not end within that time.
pub async fn run_within(mut command: Command, input: &str, most: Duration) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("the program can be started");
    let mut stdin = child.stdin.take().expect("standard input is a pipe");
    let input = input.to_owned();
    // Beside reading its output, or both sides could wait for each other. It may not want its input.
    tokio::spawn(async move { stdin.write_all(input.as_bytes()).await });
    let output = tokio::time::timeout(most, child.wait_with_output())
        .await
        .unwrap_or_else(|_| panic!("{command:?} does not end"))
        .expect("the program's output can be read");
    Output {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The system's Python, if it has one and the module can be imported: drivers that are not there are not tested.
pub async fn python(module: &str) -> Option<&'static str> {
    const PYTHON: &str = "python3";
    let mut command = Command::new(PYTHON);
    command.args(["-c", &format!("import {module}")]).stdout(Stdio::null()).stderr(Stdio::null());
    let found = command.status().await.is_ok_and(|status| status.success());
    found.then_some(PYTHON)
}
