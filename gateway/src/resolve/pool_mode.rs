//! How long a client keeps a server connection: for a transaction, or for its session.
//!
//! Its credential says so, or the client itself: `pool_mode=session` as a startup parameter or, for drivers that
//! have no such thing, in `options='-c tenantry.pool_mode=session'`.

use super::startup::Target;
use crate::authenticate::CredentialRef;
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

/// The client's mode: what it asked for, else what the credential says that it came in by, else transaction mode.
///
/// # Errors
/// It asks for session mode, has no credential that says so, and the settings refuse that.
pub fn of(
    target: &Target,
    credential: &CredentialRef,
    route: &RouteRecord,
    requests: SessionModeRequests,
) -> Result<PoolMode, Refusal> {
    let of_credential = credential_mode(credential, route);
    let mode = target.pool_mode.or(of_credential).unwrap_or_default();
    let is_request = mode == PoolMode::Session && of_credential != Some(PoolMode::Session);
    if is_request && requests == SessionModeRequests::Refuse {
        return Err(Refusal::new(ErrorKind::Unsupported, "session mode is not offered to this user")
            .hint("use transaction mode, or a credential whose pool mode is session"));
    }
    Ok(mode)
}

/// A certificate stands for the password that was made last. Tokens and services have no mode of their own.
fn credential_mode(credential: &CredentialRef, route: &RouteRecord) -> Option<PoolMode> {
    let all = route.credentials.iter();
    let own = match credential {
        CredentialRef::Own(id) => all.into_iter().find(|known| known.id == *id),
        CredentialRef::Certificate { user, .. } => {
            let is_theirs = |kind: &CredentialKind| matches!(kind, CredentialKind::Password { user: of, .. } if of == user);
            all.filter(|known| is_theirs(&known.kind)).max_by_key(|known| known.id)
        }
        CredentialRef::Token { .. } | CredentialRef::GatewayToken { .. } | CredentialRef::Service(_) => None,
    };
    own?.pool_mode
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::tests::route;
    use crate::resolve::Claims;
    use catalog_schema::CredentialRecord;
    use tenancy::{Access, CredentialId, Role, ServiceId};

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

    fn by(route: &RouteRecord, nth: usize) -> CredentialRef {
        CredentialRef::Own(route.credentials[nth].id)
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
            let route = route_with(&[credential]);
            let mode = of(&target(asked), &by(&route, 0), &route, SessionModeRequests::Allow);
            assert_eq!(mode.expect("allowed"), expected, "{asked:?} {credential:?}");
        }
    }

    #[test]
    fn of_two_passwords_the_one_counts_that_was_given() {
        let rotated = route_with(&[Some(PoolMode::Session), None]);
        let mode = |credential| {
            of(&target(None), &credential, &rotated, SessionModeRequests::Refuse).expect("its own")
        };
        assert_eq!(mode(by(&rotated, 0)), PoolMode::Session);
        assert_eq!(mode(by(&rotated, 1)), PoolMode::Transaction);
        let certificate =
            CredentialRef::Certificate { user: "app".parse().expect("a user"), access: Access::Owner };
        assert_eq!(mode(certificate), PoolMode::Transaction, "the one that was made last");
        assert_eq!(mode(CredentialRef::Service(ServiceId::generate())), PoolMode::Transaction);
    }

    #[test]
    fn a_refused_request_is_refused_unless_the_credential_says_the_same() {
        let asked = target(Some(PoolMode::Session));
        let mode = |target: &Target, credential| {
            let route = route_with(&[credential]);
            of(target, &by(&route, 0), &route, SessionModeRequests::Refuse)
        };
        let refused = mode(&asked, None);
        assert_eq!(refused.expect_err("refused").kind(), ErrorKind::Unsupported);
        assert!(mode(&asked, Some(PoolMode::Session)).is_ok());
        assert!(mode(&target(None), None).is_ok());
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
