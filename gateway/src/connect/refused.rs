//! What a server says when it does not let us in.

use super::ConnectError;
use pgwire::backend;

/// What is kept of a server's message, in characters.
const SERVER_WORDS_MAX: usize = 200;

/// `too_many_connections`, said of the whole server and of one role or database alike.
const TOO_MANY_CONNECTIONS: &str = "53300";

/// Which functions of PostgreSQL's say it of a database or role: their names are the same in every language, and in
/// versions 15 to 18.
const TENANTS_LIMITS: [&[u8]; 2] = [b"CheckMyDatabase", b"InitializeSessionUserId"];

/// The error in the body of an ErrorResponse.
pub(super) fn refused(body: &[u8]) -> ConnectError {
    let fields = backend::ErrorFields::new(body);
    let code = fields.sqlstate().map_or_else(|| "unknown".to_owned(), |state| state.to_string());
    let message = for_logs(&fields.message());
    if code == TOO_MANY_CONNECTIONS && fields.get(b'R').is_some_and(|name| TENANTS_LIMITS.contains(&name)) {
        return ConnectError::TenantsLimit { message };
    }
    ConnectError::Refused { code, message }
}

/// What a server says before it has proved who it is may be anybody's words (CVE-2024-10977): short, on one line.
fn for_logs(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(SERVER_WORDS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::Blame;
    use crate::pool::breaker::Prognosis::Passing;

    /// As PostgreSQL 15 says it, in German.
    fn said(code: &str, routine: &str) -> ConnectError {
        refused(format!("SFATAL\0VFATAL\0C{code}\0Mzu viele Verbindungen\0R{routine}\0\0").as_bytes())
    }

    #[test]
    fn a_limit_is_the_tenants_or_the_servers_by_who_says_so() {
        for routine in ["CheckMyDatabase", "InitializeSessionUserId"] {
            assert_eq!(said("53300", routine).blame(), Blame::Tenant(Passing), "{routine}");
        }
        for routine in ["InitProcess", "InitPostgres", "ProcessStartupPacket", ""] {
            assert_eq!(said("53300", routine).blame(), Blame::Cluster(Passing), "{routine}");
        }
        assert!(
            matches!(said("3D000", "CheckMyDatabase"), ConnectError::Refused { code, .. } if code == "3D000")
        );
    }

    #[test]
    fn a_strangers_words_are_cut_short_and_stay_on_one_line() {
        let body = format!("C28P01\0Mno\n\x1b[31mway{}\0\0", "!".repeat(10_000));
        let ConnectError::Refused { code, message } = refused(body.as_bytes()) else { panic!("refused") };
        assert_eq!((code.as_str(), message.chars().count()), ("28P01", SERVER_WORDS_MAX));
        assert!(message.starts_with("no[31mway"), "{message}");
        assert!(matches!(refused(b""), ConnectError::Refused { code, .. } if code == "unknown"));
    }
}
