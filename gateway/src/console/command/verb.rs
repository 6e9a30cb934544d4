//! The words that change something, and those that PgBouncer has and we do not.

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Refuse new clients.
    Disable,
    /// Let new clients in again.
    Enable,
    /// End everything of a tenant at once, and pause it.
    Kill,
    /// End one client.
    KillClient,
    /// Let nothing new begin, and wait for what runs.
    Pause,
    /// Replace server connections as they become idle.
    Reconnect,
    /// End a pause.
    Resume,
    /// Wait for the end of a RECONNECT.
    WaitClose,
    /// Known from PgBouncer, not offered.
    Reload,
    /// Known from PgBouncer, not offered.
    Shutdown,
    /// Known from PgBouncer, not offered.
    Suspend,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Disable,
        Self::Enable,
        Self::Kill,
        Self::KillClient,
        Self::Pause,
        Self::Reconnect,
        Self::Resume,
        Self::WaitClose,
        Self::Reload,
        Self::Shutdown,
        Self::Suspend,
    ];

    /// The command's word, which also answers it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Disable => "DISABLE",
            Self::Enable => "ENABLE",
            Self::Kill => "KILL",
            Self::KillClient => "KILL_CLIENT",
            Self::Pause => "PAUSE",
            Self::Reconnect => "RECONNECT",
            Self::Resume => "RESUME",
            Self::WaitClose => "WAIT_CLOSE",
            Self::Reload => "RELOAD",
            Self::Shutdown => "SHUTDOWN",
            Self::Suspend => "SUSPEND",
        }
    }
}
