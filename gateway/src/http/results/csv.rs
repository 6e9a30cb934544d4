//! One result as CSV (RFC 4180), with a header row. Values are PostgreSQL's text.
//!
//! NULL is nothing at all and the empty text a pair of quotes, as `COPY ... CSV` tells them apart.

use super::super::fault::WriteFailure;
use super::{Column, utf8};
use pgwire::backend::{DataRow, RowDescription};

/// RFC 4180 §2: lines end so.
const LINE_END: &[u8] = b"\r\n";

/// The names of the columns.
pub(super) fn header(
    body: &mut Vec<u8>,
    columns: &mut Vec<Column>,
    description: RowDescription<'_>,
) -> Result<(), WriteFailure> {
    for (index, field) in description.enumerate() {
        let field = field?;
        if index > 0 {
            body.push(b',');
        }
        write(body, utf8(field.name)?);
        columns.push(Column { name: Vec::new(), type_oid: field.type_oid, shadowed: false });
    }
    body.extend_from_slice(LINE_END);
    Ok(())
}

/// A row of so many columns. `body_max`: how large the body may become.
pub(super) fn row(
    body: &mut Vec<u8>,
    columns: usize,
    row: DataRow<'_>,
    body_max: usize,
) -> Result<(), WriteFailure> {
    let mut count = 0;
    for value in row {
        if count > 0 {
            body.push(b',');
        }
        count += 1;
        if let Some(value) = value? {
            write(body, utf8(value)?);
        }
        if body.len() > body_max {
            return Err(WriteFailure::TooLarge);
        }
    }
    if count != columns {
        return Err(WriteFailure::Malformed);
    }
    body.extend_from_slice(LINE_END);
    Ok(())
}

fn write(body: &mut Vec<u8>, text: &str) {
    let is_plain = !text.is_empty() && !text.bytes().any(|byte| matches!(byte, b'"' | b',' | b'\r' | b'\n'));
    if is_plain {
        body.extend_from_slice(text.as_bytes());
        return;
    }
    body.push(b'"');
    for (index, part) in text.split('"').enumerate() {
        if index > 0 {
            body.extend_from_slice(b"\"\"");
        }
        body.extend_from_slice(part.as_bytes());
    }
    body.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_field_is_quoted_and_quotes_are_doubled() {
        for (text, expected) in [
            ("plain text", "plain text"),
            ("", "\"\""),
            ("a,b", "\"a,b\""),
            ("a\nb\r", "\"a\nb\r\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("\"", "\"\"\"\""),
        ] {
            let mut body = Vec::new();
            write(&mut body, text);
            assert_eq!(String::from_utf8(body).as_deref(), Ok(expected));
        }
    }
}
