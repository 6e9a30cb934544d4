//! Why a client was ended by others, and in which words it hears so.

use crate::error::Refusal;
use tenancy::ErrorKind;

/// Far from the others' codes, of which there may be more.
const SEALED: u8 = 64;

/// Why a client was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// An operator wanted it, or the gateway's time is up.
    Ordered,
    /// What it came in by opens its tenant no more.
    Withdrawn,
    /// Its tenant goes on filling its database although that is full.
    Sealed,
    /// Its tenant may be reached from its address no more.
    ShutOut,
}

impl End {
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Ordered => 1,
            Self::Withdrawn => 2,
            Self::Sealed => SEALED,
            Self::ShutOut => 3,
        }
    }

    pub(super) const fn of(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Ordered),
            2 => Some(Self::Withdrawn),
            SEALED => Some(Self::Sealed),
            3 => Some(Self::ShutOut),
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
            Self::Sealed => Refusal::new(
                ErrorKind::Terminated,
                "terminating connection because the tenant's database is far beyond its storage quota",
            )
            .hint("nothing can be written until the tenant has a larger plan"),
            Self::Withdrawn => Refusal::new(
                ErrorKind::Terminated,
                "terminating connection because its credential was revoked or has expired",
            )
            .hint("connect again with one that is good"),
            Self::ShutOut => Refusal::new(
                ErrorKind::Terminated,
                "terminating connection because the tenant may be reached from its address no more",
            )
            .hint("connect from an address in the tenant's allow list"),
        }
    }
}
