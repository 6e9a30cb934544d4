//! Rows and their descriptions.

use super::frames::written;
use pgwire::backend::{FieldDescription, data_row, row_description, write};
use pgwire::frame::HEADER_LEN;
use std::convert::Infallible;

/// Rows of our own have no more columns, like PostgreSQL's.
const OWN_COLUMNS_MAX: usize = 1664;

/// Takes the body of a DataRow and of a RowDescription: no more is read than announced or there, one error ends
/// it, and what has no error is, written again, the same.
pub fn run(body: &[u8]) {
    if let Ok(row) = data_row(body) {
        let announced = row.announced();
        let values: Vec<_> = row.collect();
        judge(body, announced, &values, value);
        if let Ok(values) = values.into_iter().collect::<Result<Vec<_>, _>>()
            && values.len() <= OWN_COLUMNS_MAX
        {
            let again = written(|out| {
                write::data_row(out, values);
                Ok::<_, Infallible>(())
            });
            assert_eq!(&again[HEADER_LEN..], body);
        }
    }
    if let Ok(description) = row_description(body) {
        let announced = description.announced();
        let columns: Vec<_> = description.collect();
        judge(body, announced, &columns, column);
    }
}

fn judge<T, E>(body: &[u8], announced: u16, read: &[Result<T, E>], write: impl Fn(&mut Vec<u8>, &T)) {
    // An error about what lies behind the last field comes in addition.
    assert!(read.len() <= usize::from(announced) + 1 && read.len() <= body.len());
    let Some((last, before)) = read.split_last() else { return };
    assert!(before.iter().all(Result::is_ok), "an error ends it");
    if last.is_err() {
        return;
    }
    assert_eq!(read.len(), usize::from(announced));
    let mut again = announced.to_be_bytes().to_vec();
    for field in read.iter().flatten() {
        write(&mut again, field);
    }
    assert_eq!(again, body);
}

fn value(out: &mut Vec<u8>, value: &Option<&[u8]>) {
    let length =
        value.map_or(-1, |value| i32::try_from(value.len()).expect("it was read with such a length"));
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value.unwrap_or_default());
}

fn column(out: &mut Vec<u8>, column: &FieldDescription<'_>) {
    out.extend_from_slice(column.name);
    out.push(0);
    out.extend_from_slice(&column.table_oid.to_be_bytes());
    out.extend_from_slice(&column.column_id.to_be_bytes());
    out.extend_from_slice(&column.type_oid.to_be_bytes());
    out.extend_from_slice(&column.type_len.to_be_bytes());
    out.extend_from_slice(&column.type_modifier.to_be_bytes());
    out.extend_from_slice(&column.format.to_be_bytes());
}
