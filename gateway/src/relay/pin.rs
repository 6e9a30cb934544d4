//! Why a client keeps its server connection between transactions.

use super::effects::Effects;

/// The reason, as it stands in metrics and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PinReason {
    /// A setting that the server does not report was changed.
    Setting,
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
}

impl PinReason {
    /// Every reason, for the metrics.
    pub const ALL: [Self; 7] = [
        Self::Setting,
        Self::Listen,
        Self::Prepare,
        Self::Temporary,
        Self::HoldCursor,
        Self::AdvisoryLock,
        Self::Library,
    ];

    /// The metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Setting => "setting",
            Self::Listen => "listen",
            Self::Prepare => "prepare",
            Self::Temporary => "temporary",
            Self::HoldCursor => "hold_cursor",
            Self::AdvisoryLock => "advisory_lock",
            Self::Library => "library",
        }
    }

    /// The first reason to pin that a statement's effects give.
    #[must_use]
    pub fn from_effects(effects: Effects) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| effects.any_of(reason.effect()))
    }

    const fn effect(self) -> Effects {
        match self {
            Self::Setting => Effects::SETTING,
            Self::Listen => Effects::LISTEN,
            Self::Prepare => Effects::PREPARE,
            Self::Temporary => Effects::TEMPORARY,
            Self::HoldCursor => Effects::HOLD_CURSOR,
            Self::AdvisoryLock => Effects::ADVISORY_LOCK,
            Self::Library => Effects::LIBRARY,
        }
    }
}
