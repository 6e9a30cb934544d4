//! Why a client was ended by others, and in which words it hears so.

use crate::error::Refusal;
use tenancy::ErrorKind;

/// Why a client was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// An operator wanted it, or the gateway's time is up.
    Ordered,
    /// What it came in by opens its tenant no more.
    Withdrawn,
}

impl End {
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Ordered => 1,
            Self::Withdrawn => 2,
        }
    }

    pub(super) const fn of(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Ordered),
            2 => Some(Self::Withdrawn),
            _ => None,
        }
    }

    /// What the client hears.
    #[must_use]
    pub fn refusal(self) -> Refusal {
        match self {
            Self::Ordered => {
                Refusal::new(ErrorKind::Terminated, "terminating connection due to administrator command")
            }
            Self::Withdrawn => Refusal::new(
                ErrorKind::Terminated,
                "terminating connection because its credential was revoked or has expired",
            )
            .hint("connect again with one that is good"),
        }
    }
}
