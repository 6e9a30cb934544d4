//! Results of our own making.

use crate::backend::tag;
use crate::emit::{reply, reply_bytes, reply_string};

/// A result has at most this many columns in PostgreSQL (`MaxTupleAttributeNumber`), and so fewer in ours.
const COLUMNS_MAX: u16 = 1664;

/// A column of a result of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResultColumn<'a> {
    /// Its name.
    pub name: &'a str,
    /// The object id of its type.
    pub type_oid: u32,
    /// Bytes of a value of this type; -1 when that varies.
    pub type_len: i16,
    /// 0 for text, 1 for binary.
    pub format: i16,
}

/// RowDescription. Columns come from no table.
pub fn row_description<'a>(out: &mut Vec<u8>, columns: impl IntoIterator<Item = ResultColumn<'a>>) {
    reply(out, tag::ROW_DESCRIPTION, |out| {
        counted(out, |out| {
            let mut count = 0;
            for column in columns.into_iter().take(usize::from(COLUMNS_MAX)) {
                reply_string(out, column.name.as_bytes());
                out.extend_from_slice(&0_u32.to_be_bytes());
                out.extend_from_slice(&0_i16.to_be_bytes());
                out.extend_from_slice(&column.type_oid.to_be_bytes());
                out.extend_from_slice(&column.type_len.to_be_bytes());
                out.extend_from_slice(&(-1_i32).to_be_bytes());
                out.extend_from_slice(&column.format.to_be_bytes());
                count += 1;
            }
            count
        });
    });
}

/// DataRow. A value is `None` for NULL, and cut when it is longer than any of ours may be.
pub fn data_row<'a>(out: &mut Vec<u8>, values: impl IntoIterator<Item = Option<&'a [u8]>>) {
    reply(out, tag::DATA_ROW, |out| {
        counted(out, |out| {
            let mut count = 0;
            for value in values.into_iter().take(usize::from(COLUMNS_MAX)) {
                one_value(out, value);
                count += 1;
            }
            count
        });
    });
}

fn one_value(out: &mut Vec<u8>, value: Option<&[u8]>) {
    let start = out.len();
    out.extend_from_slice(&(-1_i32).to_be_bytes());
    let Some(value) = value else { return };
    reply_bytes(out, value);
    let length = i32::try_from(out.len() - start - 4).expect("a value of a reply is bounded");
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// A 16-bit count of what `write` says it has written, before it.
fn counted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> u16) {
    let start = out.len();
    out.extend_from_slice(&[0; 2]);
    let count = write(out);
    out[start..start + 2].copy_from_slice(&count.to_be_bytes());
}

/// ParameterDescription of a statement without parameters.
pub fn no_parameters(out: &mut Vec<u8>) {
    reply(out, tag::PARAMETER_DESCRIPTION, |out| out.extend_from_slice(&[0; 2]));
}

/// PortalSuspended.
pub fn portal_suspended(out: &mut Vec<u8>) {
    reply(out, tag::PORTAL_SUSPENDED, |_out| {});
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend;
    use crate::frame::{HEADER_LEN, peek_header};

    #[test]
    fn rows_are_read_as_they_were_written() {
        let mut out = Vec::new();
        data_row(&mut out, [Some(&b"ab"[..]), None, Some(b"")]);
        assert_eq!(peek_header(&out).unwrap().map(|header| header.len), Some(out.len()));
        let row = backend::data_row(&out[HEADER_LEN..]).unwrap();
        assert!(row.eq([Ok(Some(&b"ab"[..])), Ok(None), Ok(Some(&b""[..]))]));
    }

    #[test]
    fn columns_are_read_as_they_were_written() {
        let mut out = Vec::new();
        row_description(&mut out, [ResultColumn { name: "n", type_oid: 23, type_len: 4, format: 1 }]);
        let mut columns = backend::row_description(&out[HEADER_LEN..]).unwrap();
        let column = columns.next().unwrap().unwrap();
        assert_eq!((column.name, column.type_oid, column.type_len, column.format), (&b"n"[..], 23, 4, 1));
        assert!(columns.next().is_none());
    }
}
