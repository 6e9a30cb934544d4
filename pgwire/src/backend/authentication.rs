//! What a server asks for during a login.

use crate::cursor::{Cursor, MessageError};

// Kinds of authentication, from <https://www.postgresql.org/docs/current/protocol-message-formats.html>.
pub(super) const OK: i32 = 0;
pub(super) const CLEARTEXT_PASSWORD: i32 = 3;
const MD5_PASSWORD: i32 = 5;
pub(super) const SASL: i32 = 10;
pub(super) const SASL_CONTINUE: i32 = 11;
pub(super) const SASL_FINAL: i32 = 12;

/// The body of a message with tag [`super::tag::AUTHENTICATION`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// The login succeeded.
    Ok,
    /// The password in clear.
    CleartextPassword,
    /// The password hashed with MD5: recognised so that it can be refused by name.
    Md5Password,
    /// SASL, by one of these mechanisms.
    Sasl(Mechanisms<'a>),
    /// A step of the SASL exchange.
    SaslContinue(&'a [u8]),
    /// The last step of the SASL exchange.
    SaslFinal(&'a [u8]),
    /// Something else (Kerberos, GSSAPI, SSPI), by its number.
    Other(i32),
}

impl<'a> Authentication<'a> {
    /// Reads the body.
    ///
    /// # Errors
    /// No number in front, or a body that does not fit the number.
    pub fn parse(body: &'a [u8]) -> Result<Self, MessageError> {
        let mut cursor = Cursor::new(body);
        let kind = cursor.i32()?;
        let parsed = match kind {
            OK => Self::Ok,
            CLEARTEXT_PASSWORD => Self::CleartextPassword,
            MD5_PASSWORD => {
                cursor.bytes(4)?;
                Self::Md5Password
            }
            SASL => return Mechanisms::parse(cursor).map(Self::Sasl),
            SASL_CONTINUE => return Ok(Self::SaslContinue(cursor.rest())),
            SASL_FINAL => return Ok(Self::SaslFinal(cursor.rest())),
            other => return Ok(Self::Other(other)),
        };
        cursor.end()?;
        Ok(parsed)
    }

    /// What this is called, for messages about what came instead of something else.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ok => "no password",
            Self::CleartextPassword => "a cleartext password",
            Self::Md5Password => "an MD5 password",
            Self::Sasl(_) => "SASL authentication",
            Self::SaslContinue(_) => "a SASL challenge",
            Self::SaslFinal(_) => "the end of SASL",
            Self::Other(_) => "an unknown kind of authentication",
        }
    }
}

/// The SASL mechanisms that a server offers, best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mechanisms<'a> {
    /// Strings, each ended by a zero byte: checked when the message was read.
    names: &'a [u8],
}

impl<'a> Mechanisms<'a> {
    fn parse(mut cursor: Cursor<'a>) -> Result<Self, MessageError> {
        let list = cursor.rest();
        while !cursor.string()?.is_empty() {}
        cursor.end()?;
        Ok(Self { names: list.strip_suffix(&[0]).unwrap_or_default() })
    }

    /// Whether a mechanism is on offer.
    #[must_use]
    pub fn offers(&self, mechanism: &str) -> bool {
        self.clone().any(|name| name == mechanism.as_bytes())
    }
}

impl<'a> Iterator for Mechanisms<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let mut cursor = Cursor::new(self.names);
        let name = cursor.string().ok()?;
        self.names = cursor.rest();
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_apart() {
        for (body, expected) in [
            (&b"\0\0\0\0"[..], Authentication::Ok),
            (b"\0\0\0\x03", Authentication::CleartextPassword),
            (b"\0\0\0\x05salt", Authentication::Md5Password),
            (b"\0\0\0\x0br=x", Authentication::SaslContinue(b"r=x")),
            (b"\0\0\0\x0c", Authentication::SaslFinal(b"")),
            (b"\0\0\0\x07", Authentication::Other(7)),
            (b"\xff\xff\xff\xff", Authentication::Other(-1)),
        ] {
            assert_eq!(Authentication::parse(body), Ok(expected));
        }
    }

    #[test]
    fn mechanisms_are_listed_in_order() {
        let body = b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";
        let Ok(Authentication::Sasl(offered)) = Authentication::parse(body) else { panic!("SASL") };
        assert!(offered.offers("SCRAM-SHA-256") && !offered.offers("SCRAM") && !offered.offers(""));
        assert!(offered.eq([&b"SCRAM-SHA-256-PLUS"[..], b"SCRAM-SHA-256"]));
        let Ok(Authentication::Sasl(mut none)) = Authentication::parse(b"\0\0\0\x0a\0") else {
            panic!("SASL")
        };
        assert_eq!(none.next(), None);
    }

    #[test]
    fn bodies_that_do_not_fit_are_refused() {
        for (body, error) in [
            (&b"\0\0\0"[..], MessageError::Truncated),
            (b"\0\0\0\0x", MessageError::TrailingBytes),
            (b"\0\0\0\x05sal", MessageError::Truncated),
            (b"\0\0\0\x0aSCRAM-SHA-256\0", MessageError::UnterminatedString),
            (b"\0\0\0\x0a\0x", MessageError::TrailingBytes),
        ] {
            assert_eq!(Authentication::parse(body), Err(error), "{body:?}");
        }
    }
}
