//! Results as JSON, written as they arrive: a row is copied once, from the server's message into the body.
//!
//! The body is held until the last statement has ended, because its status is only known then. It may not
//! grow past its bound.

use super::fault::WriteFailure;
use super::request::Mode;
use super::value;
use pgwire::backend::{DataRow, RowDescription};
use std::collections::HashMap;
use std::io::Write;

/// The body of a response in the making.
pub struct Results {
    body: Vec<u8>,
    bytes_max: usize,
    batch: bool,
    modes: std::vec::IntoIter<Mode>,
    mode: Mode,
    columns: Vec<Column>,
    rows: u64,
    results: u64,
}

struct Column {
    /// The name as a JSON text.
    name: Vec<u8>,
    type_oid: u32,
    /// An object has one value of a name: the last, as JavaScript has it.
    shadowed: bool,
}

impl Results {
    /// An empty body for statements with these modes.
    #[must_use]
    pub fn new(batch: bool, modes: Vec<Mode>, bytes_max: usize) -> Self {
        let body = if batch { b"{\"results\":[".to_vec() } else { Vec::new() };
        let (mode, columns) = (Mode::default(), Vec::new());
        Self { body, bytes_max, batch, modes: modes.into_iter(), mode, columns, rows: 0, results: 0 }
    }

    /// The largest body, in bytes.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// The next statement's columns are known.
    ///
    /// # Errors
    /// See [`WriteFailure`].
    pub fn columns(&mut self, description: RowDescription<'_>) -> Result<(), WriteFailure> {
        self.begin();
        for (index, field) in description.enumerate() {
            let field = field?;
            let mut name = Vec::with_capacity(field.name.len() + 2);
            value::write_text(&mut name, utf8(field.name)?);
            self.body.extend_from_slice(if index > 0 { b",{\"name\":" } else { b"{\"name\":" });
            self.body.extend_from_slice(&name);
            write!(
                self.body,
                ",\"dataTypeID\":{},\"tableID\":{},\"columnID\":{},\"dataTypeSize\":{},\"dataTypeModifier\":{},\
                 \"format\":\"text\"}}",
                field.type_oid, field.table_oid, field.column_id, field.type_len, field.type_modifier
            )
            .expect("a vector takes every byte");
            self.columns.push(Column { name, type_oid: field.type_oid, shadowed: false });
        }
        if !self.mode.array {
            self.shadow();
        }
        self.begin_rows()
    }

    /// The next statement has no columns.
    ///
    /// # Errors
    /// See [`WriteFailure`].
    pub fn no_columns(&mut self) -> Result<(), WriteFailure> {
        self.begin();
        self.begin_rows()
    }

    /// A row.
    ///
    /// # Errors
    /// See [`WriteFailure`].
    pub fn row(&mut self, row: DataRow<'_>) -> Result<(), WriteFailure> {
        let (open, close) = if self.mode.array { (b'[', b']') } else { (b'{', b'}') };
        if self.rows > 0 {
            self.body.push(b',');
        }
        self.rows += 1;
        self.body.push(open);
        let mut columns = self.columns.iter();
        let mut first = true;
        for value in row {
            let (column, value) = (columns.next().ok_or(WriteFailure::Malformed)?, value?);
            if column.shadowed {
                continue;
            }
            if !std::mem::take(&mut first) {
                self.body.push(b',');
            }
            if !self.mode.array {
                self.body.extend_from_slice(&column.name);
                self.body.push(b':');
            }
            match value.map(utf8).transpose()? {
                None => self.body.extend_from_slice(b"null"),
                Some(text) if self.mode.raw => value::write_text(&mut self.body, text),
                Some(text) => value::write(&mut self.body, column.type_oid, text),
            }
            if self.body.len() > self.bytes_max {
                return Err(WriteFailure::TooLarge);
            }
        }
        if columns.next().is_some() {
            return Err(WriteFailure::Malformed);
        }
        self.body.push(close);
        self.check_size()
    }

    /// The statement has ended; `tag` is the server's, such as `INSERT 0 1`, empty for an empty query.
    ///
    /// # Errors
    /// See [`WriteFailure`].
    pub fn complete(&mut self, tag: &[u8]) -> Result<(), WriteFailure> {
        let tag = utf8(tag)?;
        self.body.extend_from_slice(b"],\"command\":");
        value::write_text(&mut self.body, tag.split(' ').next().unwrap_or_default());
        self.body.extend_from_slice(b",\"rowCount\":");
        match row_count(tag) {
            Some(count) => write!(self.body, "{count}").expect("a vector takes every byte"),
            None => self.body.extend_from_slice(b"null"),
        }
        write!(self.body, ",\"rowAsArray\":{}}}", self.mode.array).expect("a vector takes every byte");
        self.check_size()
    }

    /// The whole body.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        if self.batch {
            self.body.extend_from_slice(b"]}");
        }
        self.body
    }

    fn begin(&mut self) {
        if self.results > 0 {
            self.body.push(b',');
        }
        self.results += 1;
        self.rows = 0;
        self.columns.clear();
        self.mode = self.modes.next().unwrap_or_default();
        self.body.extend_from_slice(b"{\"fields\":[");
    }

    fn begin_rows(&mut self) -> Result<(), WriteFailure> {
        self.body.extend_from_slice(b"],\"rows\":[");
        self.check_size()
    }

    fn shadow(&mut self) {
        let last: HashMap<Vec<u8>, usize> =
            self.columns.iter().enumerate().map(|(index, column)| (column.name.clone(), index)).collect();
        for (index, column) in self.columns.iter_mut().enumerate() {
            column.shadowed = last.get(&column.name) != Some(&index);
        }
    }

    fn check_size(&self) -> Result<(), WriteFailure> {
        if self.body.len() > self.bytes_max { Err(WriteFailure::TooLarge) } else { Ok(()) }
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, WriteFailure> {
    std::str::from_utf8(bytes).map_err(|_invalid| WriteFailure::NotUtf8)
}

/// `INSERT` has an oid before its count, which is zero since PostgreSQL 12
/// (<https://www.postgresql.org/docs/current/protocol-message-formats.html>, CommandComplete).
fn row_count(tag: &str) -> Option<u64> {
    let mut words = tag.split(' ');
    let count = if words.next()? == "INSERT" { words.nth(1) } else { words.next() };
    count?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgwire::backend::{data_row, row_description};
    use serde_json::{Value, json};

    const RAW_ARRAYS: Mode = Mode { raw: true, array: true };
    const OBJECTS: Mode = Mode { raw: false, array: false };

    fn description(columns: &[(&str, u32)]) -> Vec<u8> {
        let mut body = u16::try_from(columns.len()).expect("few").to_be_bytes().to_vec();
        for (name, oid) in columns {
            body.extend_from_slice(name.as_bytes());
            body.extend_from_slice(b"\0\0\0\0\x07\0\x02");
            body.extend_from_slice(&oid.to_be_bytes());
            body.extend_from_slice(b"\0\x04\xff\xff\xff\xff\0\0");
        }
        body
    }

    fn row(values: &[Option<&[u8]>]) -> Vec<u8> {
        let mut body = u16::try_from(values.len()).expect("few").to_be_bytes().to_vec();
        for value in values {
            let length = value.map_or(-1, |value| i32::try_from(value.len()).expect("short"));
            body.extend_from_slice(&length.to_be_bytes());
            body.extend_from_slice(value.unwrap_or_default());
        }
        body
    }

    fn parsed(results: Results) -> Value {
        serde_json::from_slice(&results.finish()).expect("JSON")
    }

    #[test]
    fn a_single_result_has_the_contracts_form() {
        let mut results = Results::new(false, vec![RAW_ARRAYS], 10_000);
        results.columns(row_description(&description(&[("n", 23)])).expect("good")).expect("fits");
        results.row(data_row(&row(&[Some(b"42")])).expect("good")).expect("fits");
        results.row(data_row(&row(&[None])).expect("good")).expect("fits");
        results.complete(b"SELECT 2").expect("fits");
        let expected = json!({
            "fields": [{"name": "n", "dataTypeID": 23, "tableID": 7, "columnID": 2, "dataTypeSize": 4,
                        "dataTypeModifier": -1, "format": "text"}],
            "rows": [["42"], [null]], "command": "SELECT", "rowCount": 2, "rowAsArray": true,
        });
        assert_eq!(parsed(results), expected);
    }

    #[test]
    fn in_objects_the_last_column_of_a_name_wins() {
        let mut results = Results::new(false, vec![OBJECTS], 10_000);
        let columns = description(&[("a", 23), ("b\"", 25), ("a", 16)]);
        results.columns(row_description(&columns).expect("good")).expect("fits");
        results.row(data_row(&row(&[Some(b"1"), Some(b"x"), Some(b"t")])).expect("good")).expect("fits");
        results.complete(b"SELECT 1").expect("fits");
        assert_eq!(parsed(results)["rows"], json!([{"a": true, "b\"": "x"}]));
    }

    #[test]
    fn a_batch_holds_its_results_in_order() {
        let mut results = Results::new(true, vec![RAW_ARRAYS, OBJECTS], 10_000);
        for tag in [&b"CREATE TABLE"[..], b"INSERT 0 3"] {
            results.no_columns().expect("fits");
            results.complete(tag).expect("fits");
        }
        let expected = json!({"results": [
            {"fields": [], "rows": [], "command": "CREATE", "rowCount": null, "rowAsArray": true},
            {"fields": [], "rows": [], "command": "INSERT", "rowCount": 3, "rowAsArray": false},
        ]});
        assert_eq!(parsed(results), expected);
        assert_eq!(parsed(Results::new(true, vec![], 100)), json!({"results": []}));
    }

    #[test]
    fn the_body_is_bounded_and_never_holds_what_is_no_text() {
        let columns = description(&[("a", 25)]);
        let mut results = Results::new(false, vec![RAW_ARRAYS], 200);
        results.columns(row_description(&columns).expect("good")).expect("fits");
        let large = row(&[Some(&[b'x'; 200])]);
        assert_eq!(results.row(data_row(&large).expect("good")), Err(WriteFailure::TooLarge));
        let latin1 = row(&[Some(b"\xe9")]);
        assert_eq!(results.row(data_row(&latin1).expect("good")), Err(WriteFailure::NotUtf8));
    }

    #[test]
    fn a_row_has_as_many_values_as_there_are_columns() {
        for values in [&[][..], &[None, None]] {
            let mut results = Results::new(false, vec![OBJECTS], 10_000);
            results.columns(row_description(&description(&[("a", 25)])).expect("good")).expect("fits");
            let failed = results.row(data_row(&row(values)).expect("good"));
            assert_eq!(failed, Err(WriteFailure::Malformed));
        }
    }

    #[test]
    fn counts_come_from_the_commands_tag() {
        for (tag, count) in
            [("INSERT 0 5", Some(5)), ("UPDATE 7", Some(7)), ("CREATE TABLE", None), ("", None)]
        {
            assert_eq!(row_count(tag), count, "{tag}");
        }
    }
}
