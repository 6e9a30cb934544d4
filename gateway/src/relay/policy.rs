//! What clients may leave behind in their sessions.
//!
//! A refused statement never reaches the server. One that PostgreSQL cannot parse is sent in its place, and its
//! error is answered in our words: so the transaction fails, and the rest of the pipeline is skipped, exactly as
//! after an error of the client's own.

use super::effects::Effects;
use crate::error::Refusal;
use config::{ListenPolicy, StateConfig, StatePolicy};
use tenancy::ErrorKind;

/// What is sent in place of a refused statement. It stands in the server's log, and says why.
pub const IN_PLACE: &[u8] = b"refused by the policy of the gateway";

/// Kinds of state that are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy(Effects);

impl Policy {
    /// Nothing is refused.
    pub const PIN: Self = Self(Effects::NONE);

    /// As configured.
    #[must_use]
    pub fn new(config: &StateConfig) -> Self {
        let configured = [
            (config.setting, SETTING),
            (config.role, ROLE),
            (config.prepare, Effects::PREPARE),
            (config.temporary, Effects::TEMPORARY),
            (config.hold_cursor, Effects::HOLD_CURSOR),
            (config.advisory_lock, Effects::ADVISORY_LOCK),
            (config.library, Effects::LIBRARY),
            (config.unknown, Effects::UNKNOWN),
        ];
        let refused = configured.into_iter().filter(|(policy, _)| *policy == StatePolicy::Refuse);
        let listen = if config.listen == ListenPolicy::Refuse { LISTEN } else { Effects::NONE };
        Self(refused.fold(listen, |sum, (_, effects)| sum | effects))
    }

    /// Is anything refused at all?
    #[must_use]
    pub fn refuses_something(self) -> bool {
        !self.0.is_none()
    }

    /// Why a statement with these effects is not carried out, if it is not.
    #[must_use]
    pub fn refusal(self, effects: Effects) -> Option<Refusal> {
        let refused = effects.and(self.0);
        let (_, what, hint) = WORDS.into_iter().find(|(kind, ..)| refused.any_of(*kind))?;
        Some(
            Refusal::new(
                ErrorKind::Unsupported,
                format!("{what} is not allowed where connections are shared between transactions"),
            )
            .hint(hint),
        )
    }
}

const SETTING: Effects = Effects::SETTING.or(Effects::UNKNOWN_SETTING).or(Effects::SEARCH_PATH);
const LISTEN: Effects = Effects::LISTEN.or(Effects::SUBSCRIBES);
const ROLE: Effects = Effects::ROLE.or(Effects::AUTHORIZATION);

const SESSION_MODE: &str = "connect in session mode";

/// What each kind is called, and what to do instead.
const WORDS: [(Effects, &str, &str); 9] = [
    (SETTING, "changing this setting for the session", "use SET LOCAL, or set it in the startup options"),
    (ROLE, "changing the role for the session", "use SET LOCAL ROLE, or log in as that role"),
    (LISTEN, "LISTEN", SESSION_MODE),
    (Effects::PREPARE, "PREPARE", "prepare statements by the protocol, as drivers do"),
    (Effects::TEMPORARY, "a temporary object", "create it with ON COMMIT DROP, or connect in session mode"),
    (Effects::HOLD_CURSOR, "a cursor WITH HOLD", "use it within one transaction, without WITH HOLD"),
    (Effects::ADVISORY_LOCK, "an advisory lock of the session", "use pg_advisory_xact_lock"),
    (Effects::LIBRARY, "LOAD", SESSION_MODE),
    (Effects::UNKNOWN, "a statement whose effects cannot be read", SESSION_MODE),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::effects;

    fn refused(config: &StateConfig, sql: &str) -> bool {
        Policy::new(config).refusal(effects::of_sql(sql.as_bytes())).is_some()
    }

    #[test]
    fn nothing_is_refused_unless_somebody_says_so() {
        assert!(!Policy::new(&StateConfig::default()).refuses_something());
        for sql in ["listen a", "set role b", "do $$ $$", "select pg_advisory_lock(1)"] {
            assert!(!refused(&StateConfig::default(), sql), "{sql}");
        }
    }

    #[test]
    fn each_kind_is_refused_by_its_own_policy() {
        let refuse = StatePolicy::Refuse;
        let default = StateConfig::default();
        for (config, sql) in [
            (StateConfig { setting: refuse, ..default.clone() }, "select set_config($1, $2, false)"),
            (StateConfig { role: refuse, ..default.clone() }, "set role b"),
            (StateConfig { listen: ListenPolicy::Refuse, ..default.clone() }, "select 1; listen a"),
            (StateConfig { prepare: refuse, ..default.clone() }, "prepare p as select 1"),
            (StateConfig { temporary: refuse, ..default.clone() }, "create temp table t (a int)"),
            (
                StateConfig { hold_cursor: refuse, ..default.clone() },
                "declare c cursor with hold for select 1",
            ),
            (StateConfig { advisory_lock: refuse, ..default.clone() }, "select pg_advisory_lock(1)"),
            (StateConfig { library: refuse, ..default.clone() }, "load 'x'"),
            (StateConfig { unknown: refuse, ..default }, "do $$ $$"),
        ] {
            assert!(refused(&config, sql), "{sql}");
            for harmless in ["select 1", "set a.b = 'c'", "set local a.b = 'c'", "set timezone = 'UTC'"] {
                assert!(!refused(&config, harmless), "{harmless}");
            }
        }
    }
}
