//! E-mail addresses, as names of people. Nothing is ever sent to one from here.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The longest address that a mail server takes (RFC 5321 §4.5.3.1.3, without its angle brackets).
const BYTES_MAX: usize = 254;

/// The longest part before the `@` (RFC 5321 §4.5.3.1.1).
const LOCAL_BYTES_MAX: usize = 64;

/// An e-mail address in lower case: two that differ in nothing but case are one person's.
///
/// The form is checked no further than it has to be for a name: ASCII, one `@` with something on both sides, no blanks
/// and no control characters. Whether anybody reads what is sent there is not known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(Box<str>);

/// The text is no e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an e-mail address reads like \"ann@example.com\" and has at most 254 bytes")]
pub struct NotAnEmail;

impl Email {
    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = NotAnEmail;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (local, domain) = text.split_once('@').ok_or(NotAnEmail)?;
        let fits =
            text.len() <= BYTES_MAX && (1..=LOCAL_BYTES_MAX).contains(&local.len()) && !domain.is_empty();
        let legal =
            text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"' | b','));
        if !fits || !legal || domain.contains('@') {
            return Err(NotAnEmail);
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

impl TryFrom<String> for Email {
    type Error = NotAnEmail;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0.into()
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Email;

    #[test]
    fn an_address_is_a_name_in_lower_case() {
        assert_eq!("Ann+Work@Example.COM".parse::<Email>().unwrap().as_str(), "ann+work@example.com");
        let long = format!("{}@example.com", "a".repeat(65));
        for bad in
            ["", "ann", "@", "ann@", "@example.com", "a@b@c", "a b@c", "ann@ex\nample", "<a@b>", "ä@b", &long]
        {
            assert!(bad.parse::<Email>().is_err(), "{bad:?}");
        }
    }
}
