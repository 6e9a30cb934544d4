//! How long a client keeps a server connection: for a transaction, or for its session.
//!
//! Its credential says so, or the client itself: `pool_mode=session` as a startup parameter or, for drivers that
//! have no such thing, in `options='-c tenantry.pool_mode=session'`.

use super::startup::Target;
use crate::error::Refusal;
use catalog_schema::{CredentialKind, RouteRecord};
use config::SessionModeRequests;
use tenancy::{ErrorKind, PoolMode};

/// The names of the startup parameter.
const NAMES: [&str; 2] = ["pool_mode", "tenantry.pool_mode"];

/// PgBouncer's third mode, which nobody is to take for one of ours.
const STATEMENT: &str = "statement";

/// Is this what the parameter is called?
pub(super) fn is_asked_by(name: &str) -> bool {
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Reads the parameter's value.
pub(super) fn parse(value: &str) -> Result<PoolMode, Refusal> {
    value.parse().map_err(|_unknown| {
        let message = if value == STATEMENT {
            "pool mode \"statement\" is not offered".to_owned()
        } else {
            format!("there is no pool mode \"{}\"", value.escape_debug())
        };
        Refusal::new(ErrorKind::Unsupported, message).hint("use transaction or session")
    })
}

/// The client's mode: what it asked for, else what its credential says, else transaction mode. Of two live
/// credentials of one user the one that was made last counts, whichever of their passwords was given.
///
/// # Errors
/// It asks for session mode, has no credential that says so, and the settings refuse that.
pub fn of(target: &Target, route: &RouteRecord, requests: SessionModeRequests) -> Result<PoolMode, Refusal> {
    let of_credential = credential_mode(target, route);
    let mode = target.pool_mode.or(of_credential).unwrap_or_default();
    let is_request = mode == PoolMode::Session && of_credential != Some(PoolMode::Session);
    if is_request && requests == SessionModeRequests::Refuse {
        return Err(Refusal::new(ErrorKind::Unsupported, "session mode is not offered to this user")
            .hint("use transaction mode, or a credential whose pool mode is session"));
    }
    Ok(mode)
}

fn credential_mode(target: &Target, route: &RouteRecord) -> Option<PoolMode> {
    let is_the_clients = |kind: &CredentialKind| match kind {
        CredentialKind::Password { user, .. } => Some(user) == target.user.as_ref(),
        CredentialKind::ApiKey { .. } => false,
    };
    let own = route.credentials.iter().filter(|credential| is_the_clients(&credential.kind));
    own.max_by_key(|credential| credential.id)?.pool_mode
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::tests::route;
    use crate::resolve::Claims;
    use catalog_schema::CredentialRecord;
    use tenancy::{CredentialId, Role};

    fn target(pool_mode: Option<PoolMode>) -> Target {
        Target {
            claims: Claims::default(),
            user: Some("app".parse().expect("a user")),
            user_as_given: "app".to_owned(),
            settings: Vec::new(),
            pool_mode,
            shows_token: false,
        }
    }

    fn route_with(modes: &[Option<PoolMode>]) -> RouteRecord {
        let credential = |pool_mode| CredentialRecord {
            id: CredentialId::generate(),
            role: Role::Owner,
            expires_at: None,
            pool_mode,
            kind: CredentialKind::Password { user: "app".parse().expect("a user"), verifier: String::new() },
        };
        RouteRecord { credentials: modes.iter().copied().map(credential).collect(), ..route() }
    }

    #[test]
    fn the_client_decides_before_its_credential_and_that_before_nobody() {
        use PoolMode::{Session, Transaction};
        for (asked, credential, expected) in [
            (None, None, Transaction),
            (None, Some(Session), Session),
            (Some(Transaction), Some(Session), Transaction),
            (Some(Session), Some(Transaction), Session),
            (Some(Session), None, Session),
        ] {
            let mode = of(&target(asked), &route_with(&[credential]), SessionModeRequests::Allow);
            assert_eq!(mode.expect("allowed"), expected, "{asked:?} {credential:?}");
        }
        let rotated = route_with(&[None, Some(Session)]);
        assert_eq!(of(&target(None), &rotated, SessionModeRequests::Refuse).expect("its own"), Session);
    }

    #[test]
    fn a_refused_request_is_refused_unless_the_credential_says_the_same() {
        let asked = target(Some(PoolMode::Session));
        let refused = of(&asked, &route_with(&[None]), SessionModeRequests::Refuse);
        assert_eq!(refused.expect_err("refused").kind(), ErrorKind::Unsupported);
        assert!(of(&asked, &route_with(&[Some(PoolMode::Session)]), SessionModeRequests::Refuse).is_ok());
        assert!(of(&target(None), &route_with(&[None]), SessionModeRequests::Refuse).is_ok());
    }

    #[test]
    fn other_modes_are_refused_with_a_hint() {
        for value in ["statement", "Session", "", "off"] {
            let refusal = parse(value).expect_err(value);
            assert_eq!((refusal.kind(), refusal.hint_text().is_some()), (ErrorKind::Unsupported, true));
        }
        assert_eq!(parse("session").expect("a mode"), PoolMode::Session);
    }
}
