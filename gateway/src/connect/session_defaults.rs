//! What server connections begin with, so that those that have begun otherwise can be told apart.

use catalog_schema::RouteRecord;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the sessions of a tenant begin with, as a number: its roles' settings by their epoch, and whether its
/// transactions are read-only unless they say otherwise. Two that are equal begin alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionDefaults(u64);

impl SessionDefaults {
    /// As the route says.
    #[must_use]
    pub fn of(route: &RouteRecord) -> Self {
        let epoch = u64::try_from(route.settings_epoch).unwrap_or(0);
        Self(epoch << 1 | u64::from(route.storage.is_read_only()))
    }

    /// Are transactions read-only unless they say otherwise?
    #[must_use]
    pub const fn is_read_only(self) -> bool {
        self.0 & 1 == 1
    }
}

/// Those that hold now. Read at each give-back, without a lock.
#[derive(Debug, Default)]
pub(super) struct Current(AtomicU64);

impl Current {
    pub(super) fn get(&self) -> SessionDefaults {
        SessionDefaults(self.0.load(Ordering::Acquire))
    }

    /// Says whether that is something else than before.
    pub(super) fn set(&self, defaults: SessionDefaults) -> bool {
        self.0.swap(defaults.0, Ordering::AcqRel) != defaults.0
    }
}
