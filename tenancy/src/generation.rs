//! Two numbers that only rise: a route's generation and the catalog's revision.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! rising_number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(i64);

        impl $name {
            /// The number as the catalog stores it (`bigint`).
            #[must_use]
            pub const fn new(value: i64) -> Self {
                Self(value)
            }

            /// The number as the catalog stores it (`bigint`).
            #[must_use]
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

rising_number!(
    /// Rises with every change of one tenant's route. An older one is stale and refused.
    Generation
);
rising_number!(
    /// Rises with every routing change in the whole catalog. A gateway reports the last it applied.
    Revision
);
