//! What a client hears, in a form in which two can be compared.

use crate::DOMAIN;
use crate::table::Expected;
use crate::world::SLUGS;

/// The statement of every client.
pub(crate) const WHERE: &str = "select current_database()::text";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Served, by this database.
    In(String),
    Refused {
        /// Over HTTP.
        status: Option<u16>,
        sqlstate: String,
        /// All that was said, with tenants' names replaced.
        said: String,
    },
}

impl Answer {
    pub(crate) fn refused(status: Option<u16>, sqlstate: &str, said: &str) -> Self {
        Self::Refused { status, sqlstate: sqlstate.to_owned(), said: nameless(said) }
    }

    pub(crate) const fn is_in(&self) -> bool {
        matches!(self, Self::In(_))
    }

    /// Is it what the table says?
    pub(crate) fn is(&self, expected: &Expected) -> bool {
        match (self, expected.sqlstate) {
            (Self::In(_), None) => true,
            (Self::Refused { status, sqlstate, said }, Some(code)) => {
                sqlstate == code
                    && said.contains(&expected.says)
                    && status.is_none_or(|status| status == expected.status)
            }
            (Self::In(_), Some(_)) | (Self::Refused { .. }, None) => false,
        }
    }
}

/// What is the same for all tenants.
fn nameless(text: &str) -> String {
    let mut text = text.to_owned();
    for slug in SLUGS {
        for name in [format!("{slug}.{DOMAIN}"), format!("{slug}.example"), slug.to_owned()] {
            text = text.replace(&name, "TENANT");
        }
    }
    text
}
