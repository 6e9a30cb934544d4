//! Borrowed views of messages from a client.

use crate::cursor::{Cursor, MessageError};

/// The kind of a Describe or Close that names a prepared statement.
pub const STATEMENT: u8 = b'S';
/// The kind of a Describe or Close that names a portal.
pub const PORTAL: u8 = b'P';

/// Parse: prepare a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parse<'a> {
    /// The statement's name; empty for the unnamed one.
    pub name: &'a [u8],
    /// The query, in the client's encoding.
    pub query: &'a [u8],
    /// Everything behind: the count of parameter types and the types.
    pub rest: &'a [u8],
}

impl<'a> Parse<'a> {
    /// Reads the body of a Parse.
    ///
    /// # Errors
    /// The name or the query does not end.
    #[expect(
        clippy::self_named_constructors,
        reason = "every view is made by `parse`, this one is called Parse"
    )]
    #[inline]
    pub fn parse(body: &'a [u8]) -> Result<Self, MessageError> {
        let mut cursor = Cursor::new(body);
        Ok(Self { name: cursor.string()?, query: cursor.string()?, rest: cursor.rest() })
    }
}

/// Bind: make a portal of a prepared statement and parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bind<'a> {
    /// The portal's name; empty for the unnamed one.
    pub portal: &'a [u8],
    /// The statement's name; empty for the unnamed one.
    pub statement: &'a [u8],
    /// Everything behind: parameter formats, parameters and result formats.
    pub rest: &'a [u8],
}

impl<'a> Bind<'a> {
    /// Reads the body of a Bind.
    ///
    /// # Errors
    /// One of the names does not end.
    #[inline]
    pub fn parse(body: &'a [u8]) -> Result<Self, MessageError> {
        let mut cursor = Cursor::new(body);
        Ok(Self { portal: cursor.string()?, statement: cursor.string()?, rest: cursor.rest() })
    }
}

/// Describe or Close, which look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DescribeOrClose<'a> {
    /// [`STATEMENT`] or [`PORTAL`].
    pub kind: u8,
    /// The name; empty for the unnamed one.
    pub name: &'a [u8],
}

impl<'a> DescribeOrClose<'a> {
    /// Reads the body of a Describe or a Close.
    ///
    /// # Errors
    /// An unknown kind, a name that does not end, or bytes behind it.
    #[inline]
    pub fn parse(body: &'a [u8]) -> Result<Self, MessageError> {
        let mut cursor = Cursor::new(body);
        let kind = cursor.u8()?;
        if kind != STATEMENT && kind != PORTAL {
            return Err(MessageError::InvalidField("subtype"));
        }
        let name = cursor.string()?;
        cursor.end()?;
        Ok(Self { kind, name })
    }
}

/// Execute: run a portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Execute<'a> {
    /// The portal's name; empty for the unnamed one.
    pub portal: &'a [u8],
    /// How many rows to return at most; no limit when zero or negative.
    pub max_rows: i32,
}

impl<'a> Execute<'a> {
    /// Reads the body of an Execute.
    ///
    /// # Errors
    /// Not a name and a number.
    #[inline]
    pub fn parse(body: &'a [u8]) -> Result<Self, MessageError> {
        let mut cursor = Cursor::new(body);
        let (portal, max_rows) = (cursor.string()?, cursor.i32()?);
        cursor.end()?;
        Ok(Self { portal, max_rows })
    }
}

/// SASLInitialResponse: the client's choice of mechanism and its first words.
///
/// The SASLResponse that follows has no view: its whole body is the mechanism's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaslInitial<'a> {
    /// The mechanism chosen.
    pub mechanism: &'a [u8],
    /// The mechanism's first message, when the client sent one along.
    pub data: Option<&'a [u8]>,
}

impl<'a> SaslInitial<'a> {
    /// Reads the body of a SASLInitialResponse.
    ///
    /// # Errors
    /// Not a name, a length (-1 for no data) and as many bytes.
    pub fn parse(body: &'a [u8]) -> Result<Self, MessageError> {
        let mut cursor = Cursor::new(body);
        let mechanism = cursor.string()?;
        let data = match cursor.i32()? {
            -1 => None,
            length => {
                let length = usize::try_from(length).map_err(|_| MessageError::InvalidField("length"))?;
                Some(cursor.bytes(length)?)
            }
        };
        cursor.end()?;
        Ok(Self { mechanism, data })
    }
}

/// The text of a Query.
///
/// # Errors
/// The text does not end, or not where the message does.
#[inline]
pub fn query(body: &[u8]) -> Result<&[u8], MessageError> {
    only_string(body)
}

/// The password in a PasswordMessage, in clear.
///
/// # Errors
/// The password does not end, or not where the message does.
pub fn password(body: &[u8]) -> Result<&[u8], MessageError> {
    only_string(body)
}

fn only_string(body: &[u8]) -> Result<&[u8], MessageError> {
    let mut cursor = Cursor::new(body);
    let text = cursor.string()?;
    cursor.end()?;
    Ok(text)
}
