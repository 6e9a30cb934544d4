//! What results are made of in JSON, whole or by lines.

use super::super::failure::ErrorBody;
use super::super::fault::WriteFailure;
use super::super::request::Mode;
use super::super::value;
use super::{Column, utf8};
use pgwire::backend::{DataRow, RowDescription};
use std::io::Write;

/// The columns' descriptions, as the contract has them, without brackets.
pub(super) fn fields(
    body: &mut Vec<u8>,
    columns: &mut Vec<Column>,
    description: RowDescription<'_>,
) -> Result<(), WriteFailure> {
    for (index, field) in description.enumerate() {
        let field = field?;
        let mut name = Vec::with_capacity(field.name.len() + 2);
        value::write_text(&mut name, utf8(field.name)?);
        body.extend_from_slice(if index > 0 { b",{\"name\":" } else { b"{\"name\":" });
        body.extend_from_slice(&name);
        write!(
            body,
            ",\"dataTypeID\":{},\"tableID\":{},\"columnID\":{},\"dataTypeSize\":{},\"dataTypeModifier\":{},\
             \"format\":\"text\"}}",
            field.type_oid, field.table_oid, field.column_id, field.type_len, field.type_modifier
        )
        .expect("a vector takes every byte");
        columns.push(Column { name, type_oid: field.type_oid, shadowed: false });
    }
    Ok(())
}

/// Finds the columns that another one of the same name hides.
pub(super) fn shadow(columns: &mut [Column]) {
    let mut by_name: Vec<usize> = (0..columns.len()).collect();
    // Those of one name stay in their order.
    by_name.sort_by(|one, other| columns[*one].name.cmp(&columns[*other].name));
    for pair in by_name.windows(2) {
        let (before, after) = (pair[0], pair[1]);
        columns[before].shadowed = columns[before].name == columns[after].name;
    }
}

/// A row, as an array or an object. `body_max`: how large the body may become.
pub(super) fn row(
    body: &mut Vec<u8>,
    columns: &[Column],
    mode: Mode,
    row: DataRow<'_>,
    body_max: usize,
) -> Result<(), WriteFailure> {
    let (open, close) = if mode.array { (b'[', b']') } else { (b'{', b'}') };
    body.push(open);
    let mut columns = columns.iter();
    let mut first = true;
    for value in row {
        let (column, value) = (columns.next().ok_or(WriteFailure::Malformed)?, value?);
        if column.shadowed {
            continue;
        }
        if !std::mem::take(&mut first) {
            body.push(b',');
        }
        if !mode.array {
            body.extend_from_slice(&column.name);
            body.push(b':');
        }
        match value.map(utf8).transpose()? {
            None => body.extend_from_slice(b"null"),
            Some(text) if mode.raw => value::write_text(body, text),
            Some(text) => value::write(body, column.type_oid, text),
        }
        if body.len() > body_max {
            return Err(WriteFailure::TooLarge);
        }
    }
    if columns.next().is_some() {
        return Err(WriteFailure::Malformed);
    }
    body.push(close);
    Ok(())
}

/// What the statement was and how many rows it had.
pub(super) fn command(body: &mut Vec<u8>, tag: &str) {
    body.extend_from_slice(b"\"command\":");
    value::write_text(body, tag.split(' ').next().unwrap_or_default());
    body.extend_from_slice(b",\"rowCount\":");
    match row_count(tag) {
        Some(count) => write!(body, "{count}").expect("a vector takes every byte"),
        None => body.extend_from_slice(b"null"),
    }
}

/// The last of an object's keys: are its rows arrays?
pub(super) fn row_as_array(body: &mut Vec<u8>, mode: Mode) {
    write!(body, ",\"rowAsArray\":{}}}", mode.array).expect("a vector takes every byte");
}

/// The last line when all has ended well.
pub(super) fn end(body: &mut Vec<u8>, results: u64) {
    writeln!(body, "{{\"end\":{{\"results\":{results}}}}}").expect("a vector takes every byte");
}

/// The last line otherwise.
pub(super) fn error(body: &mut Vec<u8>, error: &ErrorBody) {
    body.extend_from_slice(b"{\"error\":");
    serde_json::to_writer(&mut *body, error).expect("a vector takes every byte");
    body.extend_from_slice(b"}\n");
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

    #[test]
    fn counts_come_from_the_commands_tag() {
        for (tag, count) in
            [("INSERT 0 5", Some(5)), ("UPDATE 7", Some(7)), ("CREATE TABLE", None), ("", None)]
        {
            assert_eq!(row_count(tag), count, "{tag}");
        }
    }
}
