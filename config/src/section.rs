//! Reads one table of the file key by key, the environment first, and remembers every mistake.
//!
//! A reader by hand and not a derived one: serde stops at the first mistake, and an operator should
//! not have to start a process once for each.

use crate::error::Problem;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use toml::{Table, Value};

/// Looks a variable of the environment up. Tests pass a map.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

pub(crate) struct Section<'a> {
    path: String,
    table: Table,
    environment: Environment<'a>,
    problems: &'a mut Vec<Problem>,
}

/// Where a value was found decides how it is read: the environment only has text.
enum Found {
    Environment(String),
    File(Value),
}

impl<'a> Section<'a> {
    pub(crate) fn root(table: Table, environment: Environment<'a>, problems: &'a mut Vec<Problem>) -> Self {
        Self { path: String::new(), table, environment, problems }
    }

    /// The table under `key`; an absent one is empty, so that its defaults and variables apply.
    pub(crate) fn section(&mut self, key: &str) -> Section<'_> {
        let path = self.key_path(key);
        let table = match self.table.remove(key) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(other) => {
                self.problem(key, format!("must be a table, not {}", kind(&other)));
                Table::new()
            }
        };
        Section { path, table, environment: self.environment, problems: self.problems }
    }

    /// The tables listed under `key`, each read by `read`. The environment has no word for what is in one.
    pub(crate) fn list<T>(&mut self, key: &str, mut read: impl FnMut(Section<'_>) -> T) -> Vec<T> {
        let items = match self.table.remove(key) {
            None => Vec::new(),
            Some(Value::Array(items)) => items,
            Some(other) => {
                self.problem(key, format!("must be a list of tables, not {}", kind(&other)));
                Vec::new()
            }
        };
        let mut results = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let path = self.key_path(&format!("{key}[{index}]"));
            match item {
                Value::Table(table) => {
                    let problems = &mut *self.problems;
                    results.push(read(Section { path, table, environment: &|_| None, problems }));
                }
                other => {
                    let message = format!("must be a table, not {}", kind(&other));
                    self.problems.push(Problem { key: path, message });
                }
            }
        }
        results
    }

    /// A value written as text, if it is given at all.
    pub(crate) fn optional<T>(&mut self, key: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        let text = match self.take(key)? {
            Found::Environment(text) | Found::File(Value::String(text)) => text,
            Found::File(other) => {
                self.problem(key, format!("must be text in quotes, not {}", kind(&other)));
                return None;
            }
        };
        match text.parse() {
            Ok(value) => Some(value),
            Err(why) => {
                self.problem(key, format!("{why}"));
                None
            }
        }
    }

    /// A value written as text, or `default`.
    pub(crate) fn text<T>(&mut self, key: &str, default: T) -> T
    where
        T: FromStr,
        T::Err: Display,
    {
        self.optional(key).unwrap_or(default)
    }

    /// A value that must be given. A missing one is a problem; `placeholder` only lets reading go on.
    pub(crate) fn required<T>(&mut self, key: &str, placeholder: T) -> T
    where
        T: FromStr,
        T::Err: Display,
    {
        if !self.gives(key) {
            let variable = self.variable(key);
            self.problem(key, format!("is missing (set it in the file, or {variable})"));
            return placeholder;
        }
        self.optional(key).unwrap_or(placeholder)
    }

    /// A list of words, or `default`. A variable has them with commas between.
    pub(crate) fn words<T>(&mut self, key: &str, default: Vec<T>) -> Vec<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        let texts: Option<Vec<String>> = match self.take(key) {
            None => return default,
            Some(Found::Environment(text)) => {
                Some(text.split(',').map(|word| word.trim().to_owned()).collect())
            }
            Some(Found::File(Value::Array(items))) => {
                items.into_iter().map(|item| item.as_str().map(str::to_owned)).collect()
            }
            Some(Found::File(_)) => None,
        };
        let Some(texts) = texts else {
            self.problem(key, "must be a list of words in quotes");
            return default;
        };
        let mut words = Vec::with_capacity(texts.len());
        for text in texts {
            match text.parse() {
                Ok(word) => words.push(word),
                Err(why) => self.problem(key, format!("{why}")),
            }
        }
        words
    }

    /// A whole number within `range`, or `default`.
    pub(crate) fn number<T>(&mut self, key: &str, default: T, range: &RangeInclusive<T>) -> T
    where
        T: TryFrom<i64> + PartialOrd + Display + Copy,
    {
        self.optional_number(key, range).unwrap_or(default)
    }

    /// A whole number within `range`, if it is given at all.
    pub(crate) fn optional_number<T>(&mut self, key: &str, range: &RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<i64> + PartialOrd + Display + Copy,
    {
        let whole = match self.take(key)? {
            Found::File(Value::Integer(whole)) => Some(whole),
            Found::Environment(text) => text.trim().parse::<i64>().ok(),
            Found::File(_) => None,
        };
        let value = whole.and_then(|whole| T::try_from(whole).ok()).filter(|value| range.contains(value));
        if value.is_none() {
            let (from, to) = (range.start(), range.end());
            self.problem(key, format!("must be a whole number from {from} to {to}"));
        }
        value
    }

    /// `true` or `false`, or `default`.
    pub(crate) fn flag(&mut self, key: &str, default: bool) -> bool {
        let value = match self.take(key) {
            None => return default,
            Some(Found::File(Value::Boolean(value))) => Some(value),
            Some(Found::Environment(text)) => text.trim().parse().ok(),
            Some(Found::File(_)) => None,
        };
        value.unwrap_or_else(|| {
            self.problem(key, "must be true or false");
            default
        })
    }

    /// Is there a value for `key`, in the environment or in the file?
    pub(crate) fn gives(&self, key: &str) -> bool {
        self.in_environment(key).is_some() || self.table.contains_key(key)
    }

    /// The variable's value, if the environment sets it. An empty one counts as not set, as it does
    /// for most programs that containers start.
    pub(crate) fn in_environment(&self, key: &str) -> Option<String> {
        (self.environment)(&self.variable(key)).filter(|text| !text.is_empty())
    }

    /// Looks any variable up, for settings that name one.
    pub(crate) fn environment(&self, variable: &str) -> Option<String> {
        (self.environment)(variable).filter(|text| !text.is_empty())
    }

    /// Takes a key of the file out unread.
    pub(crate) fn discard(&mut self, key: &str) -> bool {
        self.table.remove(key).is_some()
    }

    /// The variable that overrides `key`.
    pub(crate) fn variable(&self, key: &str) -> String {
        format!("TENANTRY_{}", self.key_path(key).to_uppercase().replace('.', "_"))
    }

    pub(crate) fn problem(&mut self, key: &str, message: impl Into<String>) {
        let key = self.key_path(key);
        self.problems.push(Problem { key, message: message.into() });
    }

    /// Whatever nobody has read is a typing mistake.
    pub(crate) fn finish(mut self) {
        for key in std::mem::take(&mut self.table).keys() {
            self.problem(key, "is not a known setting");
        }
    }

    fn take(&mut self, key: &str) -> Option<Found> {
        let in_file = self.table.remove(key);
        match self.in_environment(key) {
            Some(text) => Some(Found::Environment(text)),
            None => in_file.map(Found::File),
        }
    }

    fn key_path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a fraction",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}
