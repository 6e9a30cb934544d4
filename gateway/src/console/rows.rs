//! Tables that are made while they are sent.

use pgwire::backend::write::{self, ResultColumn};
use std::borrow::Cow;
use std::fmt::Display;

/// A column's type. `PgBouncer` uses the same for the same columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Int4,
    Int8,
    Numeric,
}

impl Type {
    /// Object ids and lengths: `pg_type.dat` of PostgreSQL.
    const fn oid(self) -> u32 {
        match self {
            Self::Text => 25,
            Self::Int4 => 23,
            Self::Int8 => 20,
            Self::Numeric => 1700,
        }
    }

    const fn len(self) -> i16 {
        match self {
            Self::Text | Self::Numeric => -1,
            Self::Int4 => 4,
            Self::Int8 => 8,
        }
    }
}

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Type,
}

/// Columns by name and type.
macro_rules! columns {
    ($($name:ident: $kind:ident),* $(,)?) => {
        &[$(crate::console::rows::Column { name: stringify!($name), kind: crate::console::rows::Type::$kind }),*]
    };
}
pub(super) use columns;

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Text(Cow<'static, str>),
    Number(u64),
}

impl Value {
    pub(super) fn display(value: impl Display) -> Self {
        Self::Text(value.to_string().into())
    }

    pub(super) fn or_null<T: Into<Self>>(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }

    pub(super) fn flag(value: bool) -> Self {
        Self::Number(u64::from(value))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Number(u64::try_from(number).unwrap_or(u64::MAX))
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<Box<str>> for Value {
    fn from(text: Box<str>) -> Self {
        Self::Text(text.into_string().into())
    }
}

/// One row, of as many values as the table has columns.
pub(super) type Row = Vec<Value>;

/// Rows that are made one by one, when they are sent.
pub(super) type Rows = Box<dyn Iterator<Item = Row> + Send>;

/// Whether a client wants a column in binary.
#[derive(Debug, Clone, Default)]
pub(super) struct Formats(Vec<bool>);

impl Formats {
    /// As a Bind says it: none for text everywhere, one for all columns, or one for each.
    pub(super) fn new(binary: Vec<bool>) -> Self {
        Self(binary)
    }

    /// Do they fit a table of so many columns?
    pub(super) fn fit(&self, columns: usize) -> bool {
        self.0.len() <= 1 || self.0.len() == columns
    }

    fn is_binary(&self, column: usize) -> bool {
        match self.0.as_slice() {
            [] => false,
            [all] => *all,
            each => each.get(column).copied().unwrap_or(false),
        }
    }
}

/// Appends a table's RowDescription.
pub(super) fn describe(out: &mut Vec<u8>, columns: &[Column], formats: &Formats) {
    let columns = columns.iter().enumerate().map(|(index, column)| ResultColumn {
        name: column.name,
        type_oid: column.kind.oid(),
        type_len: column.kind.len(),
        format: i16::from(formats.is_binary(index)),
    });
    write::row_description(out, columns);
}

/// Appends one row.
pub(super) fn write_row(out: &mut Vec<u8>, columns: &[Column], formats: &Formats, row: &[Value]) {
    let values: Vec<Option<Vec<u8>>> = columns
        .iter()
        .zip(row)
        .enumerate()
        .map(|(index, (column, value))| encode(column.kind, formats.is_binary(index), value))
        .collect();
    write::data_row(out, values.iter().map(Option::as_deref));
}

/// Numbers that do not fit a column are its largest.
fn encode(kind: Type, binary: bool, value: &Value) -> Option<Vec<u8>> {
    let number = match value {
        Value::Null => return None,
        Value::Text(text) => return Some(text.as_bytes().to_vec()),
        Value::Number(number) => *number,
    };
    let as_i32 = || i32::try_from(number).unwrap_or(i32::MAX);
    let as_i64 = || i64::try_from(number).unwrap_or(i64::MAX);
    Some(match (kind, binary) {
        (Type::Int4, true) => as_i32().to_be_bytes().to_vec(),
        (Type::Int8, true) => as_i64().to_be_bytes().to_vec(),
        (Type::Numeric, true) => binary_numeric(number),
        (Type::Int4, false) => as_i32().to_string().into_bytes(),
        (Type::Int8, false) => as_i64().to_string().into_bytes(),
        (Type::Text | Type::Numeric, _) => number.to_string().into_bytes(),
    })
}

/// A whole number as `numeric_send` of PostgreSQL writes it: digits to the base of 10,000, the first one's
/// weight, sign and scale.
fn binary_numeric(number: u64) -> Vec<u8> {
    let (mut digits, mut rest) = (Vec::new(), number);
    while rest > 0 {
        digits.push(u16::try_from(rest % 10_000).unwrap_or_default());
        rest /= 10_000;
    }
    let count = u16::try_from(digits.len()).unwrap_or_default();
    let mut out = Vec::with_capacity(8 + 2 * digits.len());
    for head in [count, count.saturating_sub(1), 0, 0] {
        out.extend_from_slice(&head.to_be_bytes());
    }
    digits.iter().rev().for_each(|digit| out.extend_from_slice(&digit.to_be_bytes()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_the_format_asked_for() {
        let number = Value::Number(1_234_567_890_123);
        assert_eq!(encode(Type::Numeric, false, &number), Some(b"1234567890123".to_vec()));
        assert_eq!(
            encode(Type::Numeric, true, &number),
            Some(vec![0, 4, 0, 3, 0, 0, 0, 0, 0, 1, 0x09, 0x29, 0x1a, 0x85, 0, 123])
        );
        assert_eq!(encode(Type::Numeric, true, &Value::Number(0)), Some(vec![0; 8]));
        assert_eq!(encode(Type::Int4, true, &number), Some(i32::MAX.to_be_bytes().to_vec()));
        assert_eq!(encode(Type::Int8, true, &Value::Number(5)), Some(5_i64.to_be_bytes().to_vec()));
        assert_eq!(encode(Type::Text, true, &Value::Null), None);
    }

    #[test]
    fn formats_count_for_all_columns_or_for_each() {
        assert!(!Formats::default().is_binary(3));
        assert!(Formats::new(vec![true]).is_binary(3));
        let each = Formats::new(vec![true, false]);
        assert!(each.is_binary(0) && !each.is_binary(1));
        assert!(each.fit(2) && !each.fit(3) && Formats::new(vec![true]).fit(3));
    }
}
