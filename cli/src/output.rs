//! What a command prints: tables for people, JSON for scripts.
//!
//! Results go to standard output and everything else (progress, questions, errors) to standard error,
//! so that a pipe carries results alone.

use crate::exit::CommandError;
use serde_json::Value;
use std::io::{ErrorKind, Write};

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// Columns for people; they may change
    #[default]
    Table,
    /// JSON for scripts; fields are only added
    Json,
}

/// A column of a table: its heading, and where in an item its value is (a JSON pointer).
pub type Column = (&'static str, &'static str);

/// What stands where there is no value.
const ABSENT: &str = "-";

impl Format {
    /// Prints a listing.
    ///
    /// # Errors
    /// When standard output cannot be written to.
    pub fn listing(self, items: &[Value], columns: &[Column], nothing: &str) -> Result<(), CommandError> {
        match self {
            Self::Json => json(&Value::Array(items.to_vec())),
            Self::Table if items.is_empty() => {
                // To the side: a script that counts lines counts none.
                eprintln!("{nothing}");
                Ok(())
            }
            Self::Table => print(&table(items, columns)),
        }
    }

    /// Prints one thing.
    ///
    /// # Errors
    /// When standard output cannot be written to.
    pub fn item(self, item: &Value, fields: &[Column]) -> Result<(), CommandError> {
        match self {
            Self::Json => json(item),
            Self::Table => print(&sheet(item, fields)),
        }
    }
}

/// Prints JSON.
///
/// # Errors
/// When standard output cannot be written to.
pub fn json(value: &Value) -> Result<(), CommandError> {
    // Keys that are texts and values that are JSON already always serialise.
    print(&(serde_json::to_string_pretty(value).unwrap_or_default() + "\n"))
}

/// Prints text. A reader that has seen enough, such as `head`, is no error.
///
/// # Errors
/// When standard output cannot be written to.
pub fn print(text: &str) -> Result<(), CommandError> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// A value in a cell: one line, with nothing that could move the cursor.
#[must_use]
pub fn cell(item: &Value, pointer: &str) -> String {
    let text = match item.pointer(pointer) {
        None | Some(Value::Null) => ABSENT.to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(values)) => {
            values.iter().map(|value| cell(value, "")).collect::<Vec<_>>().join(",")
        }
        Some(other) => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn table(items: &[Value], columns: &[Column]) -> String {
    let heading: Vec<String> = columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
    let body = items.iter().map(|item| columns.iter().map(|(_, pointer)| cell(item, pointer)).collect());
    let rows: Vec<Vec<String>> = std::iter::once(heading).chain(body).collect();
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(text, width)| format!("{text:<width$}")).collect();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

fn sheet(item: &Value, fields: &[Column]) -> String {
    let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    fields.iter().map(|(name, pointer)| format!("{name:<width$}  {}\n", cell(item, pointer))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_line_up_and_nothing_trails() {
        let items = [json!({"slug": "acme", "n": 1}), json!({"slug": "a", "n": null})];
        let shown = table(&items, &[("SLUG", "/slug"), ("N", "/n")]);
        assert_eq!(shown, "SLUG  N\nacme  1\na     -\n");
    }

    #[test]
    fn a_value_cannot_leave_its_line() {
        assert_eq!(cell(&json!({"name": "a\n\u{1b}[2Jb"}), "/name"), "a  [2Jb");
        assert_eq!(cell(&json!({"regions": ["eu", "us"]}), "/regions"), "eu,us");
    }
}
