//! From a file or a text to checked settings, or to the list of everything that is wrong.

use crate::error::{ConfigError, Problem};
use crate::section::{Environment, Section};
use std::path::Path;

/// Parses `text` and lets `read` take what it knows; keys that are left over are problems.
pub(crate) fn parse<T>(
    text: &str,
    environment: Environment<'_>,
    read: impl FnOnce(&mut Section<'_>) -> T,
) -> Result<T, ConfigError> {
    let table = text.parse().map_err(|why| syntax(text, &why))?;
    let mut problems = Vec::new();
    let mut root = Section::root(table, environment, &mut problems);
    let value = read(&mut root);
    root.finish();
    if problems.is_empty() { Ok(value) } else { Err(ConfigError { origin: None, problems }) }
}

/// Reads the file at `path` and parses it with the process's environment.
pub(crate) fn load<T>(
    path: &Path,
    parse: impl FnOnce(&str) -> Result<T, ConfigError>,
) -> Result<T, ConfigError> {
    let origin = Some(path.display().to_string());
    let text = std::fs::read_to_string(path)
        .map_err(|why| ConfigError { origin: origin.clone(), problems: vec![file_problem(&why)] })?;
    parse(&text).map_err(|error| ConfigError { origin, ..error })
}

/// The process's environment, as the parser asks for it.
pub(crate) fn process_environment(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}

fn file_problem(why: &std::io::Error) -> Problem {
    Problem { key: String::new(), message: format!("cannot be read: {why}") }
}

/// The parser's own message quotes the line, and that line may hold a connection string.
fn syntax(text: &str, why: &toml::de::Error) -> ConfigError {
    let place =
        why.span().and_then(|span| text.get(..span.start)).map_or(1, |before| before.lines().count().max(1));
    let message = format!("line {place} is not valid TOML: {}", why.message());
    ConfigError { origin: None, problems: vec![Problem { key: String::new(), message }] }
}
