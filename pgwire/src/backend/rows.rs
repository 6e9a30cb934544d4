//! Rows and their description, for results that the gateway reads itself.

use crate::cursor::{Cursor, MessageError};

/// One column of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldDescription<'a> {
    /// The column's name, in the client's encoding.
    pub name: &'a [u8],
    /// The table it comes from, or 0.
    pub table_oid: u32,
    /// Which column of that table, or 0.
    pub column_id: i16,
    /// Its type.
    pub type_oid: u32,
    /// Bytes of its type, negative when they vary.
    pub type_len: i16,
    /// What the type makes of its modifier; usually -1.
    pub type_modifier: i32,
    /// 0 for text, 1 for binary.
    pub format: i16,
}

/// The columns of a result. Ends after the first error.
#[derive(Debug, Clone)]
pub struct RowDescription<'a>(Fields<'a>);

/// The values of a row; `None` is NULL. Ends after the first error.
#[derive(Debug, Clone)]
pub struct DataRow<'a>(Fields<'a>);

/// Reads the body of a RowDescription.
///
/// # Errors
/// No count in front. What is wrong behind it shows while iterating.
pub fn row_description(body: &[u8]) -> Result<RowDescription<'_>, MessageError> {
    Fields::parse(body).map(RowDescription)
}

/// Reads the body of a DataRow.
///
/// # Errors
/// No count in front. What is wrong behind it shows while iterating.
#[inline]
pub fn data_row(body: &[u8]) -> Result<DataRow<'_>, MessageError> {
    Fields::parse(body).map(DataRow)
}

impl RowDescription<'_> {
    /// How many columns are announced and not yet read: a hint from the server, not to be trusted
    /// with an allocation (it is at most 65,535).
    #[must_use]
    pub const fn announced(&self) -> u16 {
        self.0.left
    }
}

impl DataRow<'_> {
    /// How many values are announced and not yet read; see [`RowDescription::announced`].
    #[must_use]
    pub const fn announced(&self) -> u16 {
        self.0.left
    }
}

impl<'a> Iterator for RowDescription<'a> {
    type Item = Result<FieldDescription<'a>, MessageError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next_with(|cursor| {
            Ok(FieldDescription {
                name: cursor.string()?,
                table_oid: cursor.u32()?,
                column_id: cursor.i16()?,
                type_oid: cursor.u32()?,
                type_len: cursor.i16()?,
                type_modifier: cursor.i32()?,
                format: cursor.i16()?,
            })
        })
    }
}

impl<'a> Iterator for DataRow<'a> {
    type Item = Result<Option<&'a [u8]>, MessageError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next_with(|cursor| match cursor.i32()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| MessageError::InvalidField("length"))?;
                cursor.bytes(length).map(Some)
            }
        })
    }
}

/// A count and as many fields, with nothing behind.
#[derive(Debug, Clone)]
struct Fields<'a> {
    left: u16,
    cursor: Cursor<'a>,
}

impl<'a> Fields<'a> {
    fn parse(body: &'a [u8]) -> Result<Self, MessageError> {
        let mut cursor = Cursor::new(body);
        Ok(Self { left: cursor.u16()?, cursor })
    }

    #[inline]
    fn next_with<T>(
        &mut self,
        read: impl FnOnce(&mut Cursor<'a>) -> Result<T, MessageError>,
    ) -> Option<Result<T, MessageError>> {
        let field = match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                read(&mut self.cursor)
            }
            None => Err(self.cursor.end().err()?),
        };
        if field.is_err() {
            *self = Self { left: 0, cursor: Cursor::new(&[]) };
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_row_yields_values_and_nulls() {
        let row = data_row(b"\0\x03\0\0\0\x02ab\xff\xff\xff\xff\0\0\0\0").unwrap();
        assert_eq!(row.announced(), 3);
        assert!(row.eq([Ok(Some(&b"ab"[..])), Ok(None), Ok(Some(&b""[..]))]));
    }

    #[test]
    fn a_column_has_seven_facts() {
        let body = b"\0\x01n\0\0\0\0\x07\0\x02\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0";
        let expected = FieldDescription {
            name: b"n",
            table_oid: 7,
            column_id: 2,
            type_oid: 23,
            type_len: 4,
            type_modifier: -1,
            format: 0,
        };
        assert!(row_description(body).unwrap().eq([Ok(expected)]));
    }

    #[test]
    fn a_row_that_lies_about_itself_yields_one_error_and_ends() {
        for (body, error) in [
            (&b"\0\x02\0\0\0\x09ab"[..], MessageError::Truncated),
            (b"\0\x01\xff\xff\xff\xfe", MessageError::InvalidField("length")),
            (b"\0\0x", MessageError::TrailingBytes),
            (b"\xff\xff", MessageError::Truncated),
        ] {
            assert!(data_row(body).unwrap().eq([Err(error)]), "{body:?}");
        }
        assert!(data_row(b"\0").is_err() && row_description(b"").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(body in proptest::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..64)) {
            for count in [data_row(&body).map(Iterator::count), row_description(&body).map(Iterator::count)] {
                prop_assert!(count.unwrap_or(0) <= body.len());
            }
        }

        #[test]
        fn rows_are_read_as_they_were_built(
            values in proptest::collection::vec(proptest::option::of(proptest::collection::vec(any::<u8>(), 0..9)), 0..9),
        ) {
            let mut body = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
            for value in &values {
                let length = value.as_ref().map_or(-1, |value| i32::try_from(value.len()).unwrap());
                body.extend(length.to_be_bytes());
                body.extend(value.iter().flatten());
            }
            let read: Vec<_> = data_row(&body).unwrap().map(|value| value.unwrap().map(<[u8]>::to_vec)).collect();
            prop_assert_eq!(read, values);
        }
    }
}
