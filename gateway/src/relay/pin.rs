//! Why a client keeps its server connection between transactions.

use super::effects::Effects;

/// The reason, as it stands in metrics and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PinReason {
    /// A setting was changed in a way that cannot be done again elsewhere.
    Setting,
    /// Another role or session user is in force.
    Role,
    /// The client listens for notifications.
    Listen,
    /// A statement was prepared in SQL.
    Prepare,
    /// A temporary object exists.
    Temporary,
    /// A cursor outlives its transaction.
    HoldCursor,
    /// An advisory lock outlives its transaction.
    AdvisoryLock,
    /// A library was loaded.
    Library,
    /// Its sessions are pooled as a whole.
    SessionMode,
}

impl PinReason {
    /// Every reason, for the metrics.
    pub const ALL: [Self; 9] = [
        Self::Setting,
        Self::Role,
        Self::Listen,
        Self::Prepare,
        Self::Temporary,
        Self::HoldCursor,
        Self::AdvisoryLock,
        Self::Library,
        Self::SessionMode,
    ];

    /// The metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Setting => "setting",
            Self::Role => "role",
            Self::Listen => "listen",
            Self::Prepare => "prepare",
            Self::Temporary => "temporary",
            Self::HoldCursor => "hold_cursor",
            Self::AdvisoryLock => "advisory_lock",
            Self::Library => "library",
            Self::SessionMode => "session_mode",
        }
    }

    /// The first reason to pin that a statement's effects give.
    #[must_use]
    pub fn from_effects(effects: Effects) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| effects.any_of(reason.effect()))
    }

    /// Of some effects, those that are a reason to pin.
    #[must_use]
    pub fn pinning(effects: Effects) -> Effects {
        let every = Self::ALL.into_iter().fold(Effects::NONE, |sum, reason| sum | reason.effect());
        effects.and(every)
    }

    fn effect(self) -> Effects {
        match self {
            Self::Setting => Effects::SETTING | Effects::UNKNOWN_SETTING,
            Self::Role => Effects::ROLE | Effects::AUTHORIZATION,
            Self::Listen => Effects::LISTEN,
            Self::Prepare => Effects::PREPARE,
            Self::Temporary => Effects::TEMPORARY,
            Self::HoldCursor => Effects::HOLD_CURSOR,
            Self::AdvisoryLock => Effects::ADVISORY_LOCK,
            Self::Library => Effects::LIBRARY,
            Self::SessionMode => Effects::NONE,
        }
    }
}
