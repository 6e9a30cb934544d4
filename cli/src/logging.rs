//! Where log lines go, and which.

use crate::exit::{CommandError, Exit};
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use tracing_subscriber::EnvFilter;

/// Says which lines are logged, in the syntax of `RUST_LOG`.
const FILTER_VARIABLE: &str = "TENANTRY_LOG";
const FILTER_DEFAULT: &str = "info";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line, for machines
    #[default]
    Json,
}

/// Logs to standard error, for the supervisor to collect.
pub(crate) fn to_stderr(format: LogFormat) -> Result<(), CommandError> {
    let builder = tracing_subscriber::fmt().with_env_filter(filter()?).with_writer(std::io::stderr);
    let installed = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    installed.map_err(|error| CommandError::new(Exit::Failure, error.to_string()))
}

/// Logs to a file, so that a terminal stays readable.
pub(crate) fn to_file(path: &Path) -> Result<(), CommandError> {
    let file = File::options().create(true).append(true).mode(0o600).open(path).map_err(|error| {
        CommandError::new(Exit::Failure, format!("cannot write {}: {error}", path.display()))
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter()?).with_ansi(false).with_writer(file);
    builder.try_init().map_err(|error| CommandError::new(Exit::Failure, error.to_string()))
}

fn filter() -> Result<EnvFilter, CommandError> {
    let directives = std::env::var(FILTER_VARIABLE).unwrap_or_else(|_| FILTER_DEFAULT.to_owned());
    EnvFilter::try_new(&directives)
        .map_err(|error| CommandError::new(Exit::Usage, format!("{FILTER_VARIABLE}={directives}: {error}")))
}
