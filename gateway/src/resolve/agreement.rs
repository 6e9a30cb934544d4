//! The one rule for all places that may name the tenant: those that are present must agree.
//!
//! Two that disagree are an error and never a choice. Clients fill in the user's name as the database
//! when none is given (<https://www.postgresql.org/docs/current/libpq-connect.html>), so a database
//! equal to the user names nothing, provided another place does.

/// Two places name different tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disagreement;

/// The tenant's name; `None` when no place names one.
///
/// `explicit` are the places that name a tenant if they hold anything at all.
///
/// # Errors
/// [`Disagreement`].
pub fn agree<'a, const N: usize>(
    explicit: [Option<&'a str>; N],
    database: Option<&'a str>,
    user_as_given: &str,
) -> Result<Option<&'a str>, Disagreement> {
    let mut explicit = explicit.into_iter().flatten();
    let first = explicit.next();
    let database =
        database.filter(|name| !name.is_empty()).filter(|name| first.is_none() || *name != user_as_given);
    let Some(name) = first.or(database) else { return Ok(None) };
    if explicit.chain(database).all(|other| other == name) { Ok(Some(name)) } else { Err(Disagreement) }
}

/// The user's own name, and the tenant behind its last dot (`app.acme`). User names have no dot.
#[must_use]
pub fn split_user(user_as_given: &str) -> (&str, Option<&str>) {
    match user_as_given.rsplit_once('.') {
        Some((user, suffix)) => (user, Some(suffix)),
        None => (user_as_given, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_present_must_name_the_same_tenant() {
        assert_eq!(agree([None, None], None, "app"), Ok(None));
        assert_eq!(agree([None, Some("acme")], Some("acme"), "app"), Ok(Some("acme")));
        assert_eq!(agree([Some("acme"), Some("other")], None, "app"), Err(Disagreement));
        assert_eq!(agree([None, Some("acme")], Some("other"), "app"), Err(Disagreement));
    }

    #[test]
    fn a_database_that_repeats_the_user_names_a_tenant_only_alone() {
        assert_eq!(agree([Some("acme")], Some("app"), "app"), Ok(Some("acme")));
        assert_eq!(agree([None], Some("app"), "app"), Ok(Some("app")));
        assert_eq!(agree([None], Some(""), "app"), Ok(None));
    }
}
