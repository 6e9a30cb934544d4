//! What statements can leave behind, as a set of bits: what is done and what is undone.

use std::ops::{BitOr, BitOrAssign};

/// A set of effects on the session: what is left behind, and what of earlier statements is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effects(u64);

/// What is undone stands so many bits above what is left behind.
const UNDONE: u32 = 32;

impl Effects {
    /// Nothing stays.
    pub const NONE: Self = Self(0);
    /// A setting that cannot follow the client.
    pub const SETTING: Self = Self(1);
    /// A subscription to notifications.
    pub const LISTEN: Self = Self(1 << 1);
    /// A statement prepared in SQL.
    pub const PREPARE: Self = Self(1 << 2);
    /// A temporary object.
    pub const TEMPORARY: Self = Self(1 << 3);
    /// A cursor that outlives its transaction.
    pub const HOLD_CURSOR: Self = Self(1 << 4);
    /// A lock that outlives its transaction.
    pub const ADVISORY_LOCK: Self = Self(1 << 5);
    /// A library loaded into the backend.
    pub const LIBRARY: Self = Self(1 << 6);
    /// Code that we do not read (`DO`): the connection is closed after use rather than trusted.
    pub const UNKNOWN: Self = Self(1 << 7);
    /// All settings were put back to the role's defaults, unless the transaction is rolled back.
    pub const RESET_ALL: Self = Self(1 << 8);
    /// Prepared statements are discarded.
    pub const DISCARD: Self = Self(1 << 9);
    /// Another role is in force.
    pub const ROLE: Self = Self(1 << 10);
    /// Another session user is in force.
    pub const AUTHORIZATION: Self = Self(1 << 11);
    /// A setting that may put temporary objects where no text shows it: an unknown one, or a search path.
    pub const UNKNOWN_SETTING: Self = Self(1 << 12);
    /// Settings that follow the client, to be read with [`super::change::of_sql`].
    pub const FOLLOWS: Self = Self(1 << 13);
    /// A number may be drawn from a sequence, which `lastval` and `currval` then tell.
    pub const DRAWS: Self = Self(1 << 14);
    /// Rows are changed or objects made: triggers may run.
    pub const WRITES: Self = Self(1 << 15);
    /// A function is called that is not known to be one of PostgreSQL's own.
    pub const CALLS: Self = Self(1 << 16);
    /// Functions, triggers or views may have changed.
    pub const DEFINES: Self = Self(1 << 17);

    /// The search path is changed to something that the text does not show.
    pub const SEARCH_PATH: Self = Self(1 << 18);
    /// A subscription to notifications that others may have in common, to be read with [`super::change::of_sql`].
    pub const SUBSCRIBES: Self = Self(1 << 19);
    /// Others may be notified.
    pub const NOTIFIES: Self = Self(1 << 20);
    /// Until the transaction ends the search path may lead to temporary objects.
    pub const LOCAL_PATH: Self = Self(1 << 21);
    /// A table may be made by a query.
    pub const MAKES: Self = Self(1 << 22);
    /// A subscription of the client's ends, to be read likewise.
    pub const UNSUBSCRIBES: Self = Self(1 << 23);
    /// Its transaction may only read, since the client wishes so.
    pub const ONLY_READS: Self = Self(1 << 24);
    /// There are changes to be read.
    pub const CHANGES: Self = Self(Self::FOLLOWS.0 | Self::UNSUBSCRIBES.0);

    /// What must not be there when the connection goes to another client.
    pub const STAYS: Self = Self(
        Self::SETTING.0
            | Self::LISTEN.0
            | Self::PREPARE.0
            | Self::TEMPORARY.0
            | Self::HOLD_CURSOR.0
            | Self::ADVISORY_LOCK.0
            | Self::LIBRARY.0
            | Self::UNKNOWN.0
            | Self::RESET_ALL.0
            | Self::DISCARD.0
            | Self::ROLE.0
            | Self::AUTHORIZATION.0
            | Self::UNKNOWN_SETTING.0
            | Self::FOLLOWS.0
            | Self::SEARCH_PATH.0
            | Self::SUBSCRIBES.0,
    );

    /// All that `DISCARD ALL` puts right. A library stays loaded.
    pub const DISCARDED: Self = Self(
        Self::SETTING.0
            | Self::LISTEN.0
            | Self::PREPARE.0
            | Self::TEMPORARY.0
            | Self::HOLD_CURSOR.0
            | Self::ADVISORY_LOCK.0
            | Self::ROLE.0
            | Self::AUTHORIZATION.0
            | Self::UNKNOWN_SETTING.0,
    );

    /// Is nothing left behind?
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Is any of these left behind?
    #[must_use]
    pub const fn any_of(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The effect of a statement that undoes these.
    #[must_use]
    pub const fn undoing(undone: Self) -> Self {
        Self(undone.0 << UNDONE)
    }

    /// What is undone of that which earlier statements left behind.
    #[must_use]
    pub const fn undone(self) -> Self {
        Self(self.0 >> UNDONE)
    }

    /// All but these.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// These as well, in constants.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Only these.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Only what is left behind and keeps the connection from other clients.
    #[must_use]
    pub const fn staying(self) -> Self {
        Self(self.0 & Self::STAYS.0)
    }
}

impl BitOr for Effects {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Effects {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}
