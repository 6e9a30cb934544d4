//! What a tenant's plan says of the sessions of its login roles, as settings of the roles.
//!
//! A session may change every one of them for itself; they are what it begins with. The gateway holds time-outs
//! whatever a session has set.

use super::quote::identifier;
use catalog_schema::RoleSettings;
use tenancy::RoleName;

/// What PostgreSQL calls them.
pub(super) const NAMES: [&str; 3] = ["statement_timeout", "idle_in_transaction_session_timeout", "work_mem"];

/// Names and values, in the order of [`NAMES`]. The units are PostgreSQL's own for a bare number.
pub(super) fn values(settings: &RoleSettings) -> [(&'static str, u32); 3] {
    let [statement, idle, work_mem] = NAMES;
    [
        (statement, settings.statement_timeout_ms),
        (idle, settings.idle_in_transaction_timeout_ms),
        (work_mem, settings.work_mem_kb),
    ]
}

/// As `pg_db_role_setting.setconfig` has them, those that are set.
pub(super) fn stored(settings: &RoleSettings) -> Vec<String> {
    values(settings)
        .into_iter()
        .filter(|(_, value)| *value > 0)
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

/// Statements that put them on a role.
pub(super) fn set(role: &RoleName, settings: &RoleSettings) -> String {
    let name = identifier(role.as_str());
    values(settings)
        .into_iter()
        .filter(|(_, value)| *value > 0)
        .map(|(setting, value)| format!("alter role {name} set {setting} = {value};"))
        .collect()
}

/// Statements that take from a role what it had of `before` and `after` has not.
pub(super) fn reset(role: &RoleName, before: &RoleSettings, after: &RoleSettings) -> String {
    let name = identifier(role.as_str());
    values(before)
        .into_iter()
        .zip(values(after))
        .filter(|((_, before), (_, after))| *before > 0 && *after == 0)
        .map(|((setting, _), _)| format!("alter role {name} reset {setting};"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_none_is_neither_set_nor_expected_and_is_reset_when_it_was_set_before() {
        let role: RoleName = "t_0123456789abcdef0123456789abcdef".parse().unwrap();
        let before = RoleSettings { statement_timeout_ms: 5, work_mem_kb: 64, ..RoleSettings::default() };
        let after = RoleSettings { work_mem_kb: 128, ..RoleSettings::default() };
        assert_eq!(stored(&after), ["work_mem=128"]);
        assert_eq!(set(&role, &after).matches("alter role").count(), 1);
        let reset = reset(&role, &before, &after);
        assert!(
            reset.ends_with("reset statement_timeout;") && reset.matches("reset").count() == 1,
            "{reset}"
        );
    }
}
