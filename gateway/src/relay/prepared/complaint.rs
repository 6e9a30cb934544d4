//! What the server says of a statement that has grown out of date.

use pgwire::backend::ErrorFields;

/// The function of PostgreSQL that refuses a plan whose result has changed, whatever the language of its words
/// (`src/backend/utils/cache/plancache.c`). Its SQLSTATE stands for much else.
const REVALIDATION: &[u8] = b"RevalidateCachedQuery";

/// What an error may say of the statement that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Complaint {
    /// The server does not have it.
    Gone,
    /// It returns something else.
    Changed,
    /// It cannot be planned or bound. What it names may have changed, or the client's values name something that is
    /// not there.
    Unfit,
}

impl Complaint {
    /// What the error says, if it says something of its statement.
    #[must_use]
    pub fn of(fields: &ErrorFields<'_>) -> Option<Self> {
        match fields.get(b'C')? {
            b"26000" => Some(Self::Gone),
            b"0A000" => (fields.get(b'R') == Some(REVALIDATION)).then_some(Self::Changed),
            // A lack of privileges is not the statement's fault.
            b"42501" => None,
            // What it names has been dropped or altered, or the types of its parameters have.
            code if code.starts_with(b"42") || code == b"XX000" => Some(Self::Unfit),
            _ => None,
        }
    }
}
