//! Domain names, checked when they enter the process.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// The longest name without its last dot (RFC 1035 §2.3.4: 255 bytes with their lengths and the root).
const DOMAIN_BYTES_MAX: usize = 253;

/// RFC 1035 §2.3.4.
const LABEL_BYTES_MAX: usize = 63;

/// A domain name of two labels or more, in lower case and without a dot at its end. A name of other letters than
/// these is in its ASCII form (RFC 5890, `xn--…`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DomainName(Box<str>);

/// The text is no domain name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a domain name has two labels or more of letters, digits and hyphens, joined by dots")]
pub struct BadDomainName;

impl DomainName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Is it `parent`, or below it?
    #[must_use]
    pub fn is_within(&self, parent: &str) -> bool {
        let parent = parent.strip_suffix('.').unwrap_or(parent).to_ascii_lowercase();
        self.0.strip_suffix(parent.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

impl FromStr for DomainName {
    type Err = BadDomainName;
    fn from_str(text: &str) -> Result<Self, BadDomainName> {
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let is_address = name.parse::<Ipv4Addr>().is_ok();
        let is_good = name.len() <= DOMAIN_BYTES_MAX && name.contains('.') && name.split('.').all(is_label);
        if is_good && !is_address { Ok(Self(name.into())) } else { Err(BadDomainName) }
    }
}

/// Letters, digits and hyphens inside (RFC 1123 §2.1).
fn is_label(label: &str) -> bool {
    (1..=LABEL_BYTES_MAX).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl TryFrom<String> for DomainName {
    type Error = BadDomainName;
    fn try_from(text: String) -> Result<Self, BadDomainName> {
        text.parse()
    }
}

impl From<DomainName> for String {
    fn from(name: DomainName) -> Self {
        name.0.into()
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_domain_has_one_spelling() {
        let name = |text: &str| text.parse::<DomainName>().map(String::from);
        for text in ["sql.example.com", "SQL.Example.Com.", "sql.example.com."] {
            assert_eq!(name(text), Ok("sql.example.com".to_owned()));
        }
        assert!(name("xn--bcher-kva.example").is_ok() && name("0.example").is_ok());
        for bad in [
            "",
            "localhost",
            "127.0.0.1",
            "[::1]",
            "a..b",
            "-a.b",
            "a-.b",
            "a_b.c",
            "bücher.example",
            "*.a.b",
            "a.b:1",
        ] {
            assert_eq!(name(bad), Err(BadDomainName), "{bad}");
        }
        assert!(name(&format!("{}.b", "a".repeat(64))).is_err());
        assert!(name(&"a.".repeat(127)).is_ok() && name(&"a.".repeat(128)).is_err());
    }

    #[test]
    fn a_name_is_within_its_parents_only() {
        let name: DomainName = "a.db.example.com".parse().unwrap();
        assert!(
            name.is_within("db.example.com")
                && name.is_within("Example.com.")
                && name.is_within("a.db.example.com")
        );
        assert!(!name.is_within("b.example.com") && !name.is_within("ample.com"));
    }
}
