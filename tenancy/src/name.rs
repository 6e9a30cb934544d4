//! Names that are checked when they enter the process.
//!
//! A value of one of these types can stand in a host name, a connection string, a label or (quoted)
//! in SQL without a second look.

use crate::TenantId;
use crate::role::Role;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// PostgreSQL cuts identifiers at `NAMEDATALEN - 1` bytes
/// (<https://www.postgresql.org/docs/current/sql-syntax-lexical.html>); a longer name would silently
/// become another one, so it is refused.
const IDENTIFIER_BYTES_MAX: usize = 63;

/// A DNS label is at most 63 bytes (RFC 1035 §2.3.4); slugs are host names' first labels.
const LABEL_BYTES_MAX: usize = 63;

/// The user that a PostgreSQL client names to show a token where others show a password. No password is this user's.
pub const TOKEN_USER: &str = "token";

/// Slugs that would shadow addresses or words of our own.
pub const RESERVED_SLUGS: [&str; 16] = [
    "admin",
    "api",
    "app",
    "console",
    "default",
    "health",
    "internal",
    "localhost",
    "metrics",
    "pgbouncer",
    "postgres",
    "status",
    "template0",
    "template1",
    "tenantry",
    "www",
];

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("a {kind} may not be empty")]
    Empty {
        /// What was being named.
        kind: &'static str,
    },
    /// Longer than the place it will stand in allows.
    #[error("a {kind} is at most {max} bytes long, this one has {length}")]
    TooLong {
        /// What was being named.
        kind: &'static str,
        /// The longest that fits.
        max: usize,
        /// What was given.
        length: usize,
    },
    /// A character that the place it will stand in does not allow.
    #[error("a {kind} {rule}")]
    BadCharacter {
        /// What was being named.
        kind: &'static str,
        /// The rule, ready to follow the kind in a sentence.
        rule: &'static str,
    },
    /// A word we keep for ourselves.
    #[error("the {kind} \"{name}\" is reserved")]
    Reserved {
        /// What was being named.
        kind: &'static str,
        /// The reserved word.
        name: String,
    },
}

const LABEL_RULE: &str =
    "consists of lower-case letters, digits and single hyphens, and begins and ends with a letter or digit";
const IDENTIFIER_RULE: &str = "contains no control characters, quotes or backslashes";

fn check_label(kind: &'static str, text: &str) -> Result<(), NameError> {
    check_length(kind, text, LABEL_BYTES_MAX)?;
    let bytes = text.as_bytes();
    let all_legal = bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-');
    // A doubled hyphen in places 3 and 4 would make an "xn--" label of another name (RFC 5891 §4.2.3.1).
    let hyphens_inside = !text.starts_with('-') && !text.ends_with('-') && !text.contains("--");
    if all_legal && hyphens_inside { Ok(()) } else { Err(NameError::BadCharacter { kind, rule: LABEL_RULE }) }
}

fn check_slug(kind: &'static str, text: &str) -> Result<(), NameError> {
    check_label(kind, text)?;
    if RESERVED_SLUGS.contains(&text) {
        return Err(NameError::Reserved { kind, name: text.to_owned() });
    }
    // Where a tenant may be named by either, it would be another tenant's.
    if text.parse::<TenantId>().is_ok() {
        return Err(NameError::BadCharacter { kind, rule: "does not look like an id" });
    }
    Ok(())
}

/// The words of the roles that every tenant has keep their meaning.
fn check_custom_role(kind: &'static str, text: &str) -> Result<(), NameError> {
    check_label(kind, text)?;
    if text.parse::<Role>().is_ok() {
        return Err(NameError::Reserved { kind, name: text.to_owned() });
    }
    Ok(())
}

fn check_identifier(kind: &'static str, text: &str) -> Result<(), NameError> {
    check_length(kind, text, IDENTIFIER_BYTES_MAX)?;
    if text.chars().any(|c| c.is_control() || matches!(c, '"' | '\'' | '\\')) {
        return Err(NameError::BadCharacter { kind, rule: IDENTIFIER_RULE });
    }
    Ok(())
}

/// A user name may carry the tenant after its last dot (`app.acme`), so it has no dot of its own.
fn check_user(kind: &'static str, text: &str) -> Result<(), NameError> {
    check_identifier(kind, text)?;
    if text.contains('.') {
        return Err(NameError::BadCharacter {
            kind,
            rule: "contains no dot: what follows a dot names the tenant",
        });
    }
    Ok(())
}

fn check_length(kind: &'static str, text: &str, max: usize) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { kind });
    }
    if text.len() > max {
        return Err(NameError::TooLong { kind, max, length: text.len() });
    }
    Ok(())
}

macro_rules! checked_name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                $check($kind, text)?;
                Ok(Self(text.into()))
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked_name!(
    /// A tenant's public name: a DNS label, unique among living tenants, may be changed.
    Slug, "slug", check_slug
);
checked_name!(
    /// A region's name, such as `eu` or `us-east-1`.
    RegionName, "region name", check_label
);
checked_name!(
    /// A cluster's name, such as `eu-1`.
    ClusterName, "cluster name", check_label
);
checked_name!(
    /// A plan's name, such as `free`.
    PlanName, "plan name", check_label
);
checked_name!(
    /// A physical database on a cluster. Opaque; never the slug, never used twice.
    DatabaseName, "database name", check_identifier
);
checked_name!(
    /// A physical role on a cluster. Opaque; never used twice.
    RoleName, "role name", check_identifier
);
checked_name!(
    /// The user that a password credential logs in as, unique within its tenant.
    UserName, "user name", check_user
);
checked_name!(
    /// A role of a tenant's own, such as `support`; never the word of a role that every tenant has.
    CustomRoleName, "role name", check_custom_role
);

checked_name!(
    /// A feature's name, such as `websocket`.
    FeatureName, "feature name", check_label
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_slug_is_never_an_id() {
        let id = TenantId::generate().to_string();
        for text in [id.replace('-', ""), id] {
            assert!(matches!(text.parse::<Slug>(), Err(NameError::BadCharacter { .. })), "{text}");
        }
    }

    #[test]
    fn slugs_are_dns_labels() {
        for good in ["acme", "a", "a-1", "0x", &"a".repeat(63)] {
            assert!(good.parse::<Slug>().is_ok(), "{good}");
        }
        for bad in ["", "Acme", "-a", "a-", "a--b", "xn--a", "a.b", "a_b", "ä", "a b", &"a".repeat(64)] {
            assert!(bad.parse::<Slug>().is_err(), "{bad}");
        }
    }

    #[test]
    fn our_own_words_are_reserved() {
        for word in RESERVED_SLUGS {
            assert!(matches!(word.parse::<Slug>(), Err(NameError::Reserved { .. })), "{word}");
        }
    }

    #[test]
    fn user_names_leave_the_dot_to_the_tenant() {
        assert!("app".parse::<UserName>().is_ok());
        assert!("app.acme".parse::<UserName>().is_err());
    }

    #[test]
    fn a_role_of_ones_own_is_called_otherwise() {
        assert!("support".parse::<CustomRoleName>().is_ok());
        for role in Role::ALL {
            assert!(
                matches!(role.as_str().parse::<CustomRoleName>(), Err(NameError::Reserved { .. })),
                "{role}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_identifier_can_leave_its_quotes(text in "\\PC{0,80}") {
            if let Ok(name) = text.parse::<DatabaseName>() {
                prop_assert!(!name.as_str().contains(['"', '\'', '\\', '\0']));
                prop_assert!(name.as_str().len() <= IDENTIFIER_BYTES_MAX);
            }
        }
    }
}
