//! The four messages of an exchange, by the grammar of RFC 5802 §7.

use super::binding::BindingFlag;
use super::crypto::{self, Key};
use super::{ITERATIONS_MAX, ScramError};

/// An honest message is below 200 bytes.
const MESSAGE_BYTES_MAX: usize = 2048;

/// The longest nonce that a peer may contribute; PostgreSQL and libpq send 24 bytes.
pub(super) const NONCE_BYTES_MAX: usize = 256;

/// The longest salt; PostgreSQL makes 16 bytes.
pub(super) const SALT_BYTES_MAX: usize = 256;

/// `client-first-message`, in the pieces that the server needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFirst<'a> {
    pub(super) flag: BindingFlag<'a>,
    /// `gs2-header`: the words about channel binding, which the client repeats in its last message.
    pub(super) gs2_header: &'a str,
    /// `client-first-message-bare`: the rest, which both sides sign.
    pub(super) bare: &'a str,
    pub(super) nonce: &'a str,
}

impl<'a> ClientFirst<'a> {
    /// The user name in the message is not looked at, as in PostgreSQL: the startup packet has it.
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, ScramError> {
        let message = text(message)?;
        let mut parts = message.splitn(3, ',');
        let flag = parts.next().and_then(BindingFlag::parse);
        let flag = flag.ok_or(ScramError::Malformed("channel binding flag expected"))?;
        match parts.next() {
            Some("") => {}
            Some(identity) if identity.starts_with("a=") => return Err(ScramError::AuthorizationIdentity),
            _ => return Err(ScramError::Malformed("comma expected")),
        }
        let bare = parts.next().ok_or(ScramError::Malformed("user name expected"))?;
        let gs2_header = message.strip_suffix(bare).unwrap_or_default();
        let mut fields = bare.split(',');
        attribute(fields.next(), "n=")?;
        let nonce = attribute(fields.next(), "r=")?;
        check_nonce(nonce)?;
        Ok(Self { flag, gs2_header, bare, nonce })
    }
}

/// `server-first-message`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServerFirst<'a> {
    pub(super) message: &'a str,
    pub(super) nonce: &'a str,
    pub(super) salt: Vec<u8>,
    pub(super) iterations: u32,
}

impl<'a> ServerFirst<'a> {
    /// `client_nonce` is what we sent: the server's nonce must begin with it and add to it.
    pub(super) fn parse(message: &'a [u8], client_nonce: &str) -> Result<Self, ScramError> {
        let message = text(message)?;
        let mut fields = message.split(',');
        let nonce = attribute(fields.next(), "r=")?;
        check_nonce(nonce.strip_prefix(client_nonce).ok_or(ScramError::Nonce)?)?;
        let salt = crypto::decode(attribute(fields.next(), "s=")?).filter(|salt| salt_fits(salt));
        let salt = salt.ok_or(ScramError::Malformed("invalid salt"))?;
        let iterations = iterations(attribute(fields.next(), "i=")?)?;
        Ok(Self { message, nonce, salt, iterations })
    }
}

/// `client-final-message`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFinal<'a> {
    /// The message up to the proof, which both sides sign.
    pub(super) without_proof: &'a str,
    /// Base64 of the `gs2-header` that the client means to have sent, and of what it binds to.
    pub(super) channel_binding: &'a str,
    pub(super) nonce: &'a str,
    pub(super) proof: Key,
}

impl<'a> ClientFinal<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, ScramError> {
        let message = text(message)?;
        let (without_proof, proof) =
            message.rsplit_once(',').ok_or(ScramError::Malformed("proof expected"))?;
        let mut fields = without_proof.split(',');
        let channel_binding = attribute(fields.next(), "c=")?;
        let nonce = attribute(fields.next(), "r=")?;
        let proof = crypto::decode_key(attribute(Some(proof), "p=")?)
            .ok_or(ScramError::Malformed("invalid proof"))?;
        Ok(Self { without_proof, channel_binding, nonce, proof })
    }
}

/// Reads a `server-final-message` and returns the server's signature.
pub(super) fn server_final(message: &[u8]) -> Result<Key, ScramError> {
    let message = text(message)?;
    // The server's own words (`e=…`) come from a peer that has proved nothing: they go nowhere.
    if message.starts_with("e=") {
        return Err(ScramError::Rejected);
    }
    crypto::decode_key(attribute(message.split(',').next(), "v=")?)
        .ok_or(ScramError::Malformed("invalid server signature"))
}

/// Reads a number of rounds, within its bounds.
pub(super) fn iterations(digits: &str) -> Result<u32, ScramError> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ScramError::Malformed("invalid iteration count"));
    }
    // Only a number beyond 32 bits fails to parse now, and that is out of bounds too.
    digits.parse().ok().and_then(check_iterations).ok_or(ScramError::Iterations)
}

pub(super) fn check_iterations(iterations: u32) -> Option<u32> {
    (1..=ITERATIONS_MAX).contains(&iterations).then_some(iterations)
}

pub(super) fn salt_fits(salt: &[u8]) -> bool {
    (1..=SALT_BYTES_MAX).contains(&salt.len())
}

fn text(message: &[u8]) -> Result<&str, ScramError> {
    if message.len() > MESSAGE_BYTES_MAX {
        return Err(ScramError::TooLong);
    }
    std::str::from_utf8(message).map_err(|_| ScramError::Malformed("not UTF-8"))
}

/// The value of an attribute that must stand here. `m=`, wherever it stands instead of another, is
/// an extension that its sender requires us to know.
fn attribute<'a>(field: Option<&'a str>, prefix: &'static str) -> Result<&'a str, ScramError> {
    let field = field.ok_or(ScramError::Malformed("attribute expected"))?;
    if field.starts_with("m=") {
        return Err(ScramError::Extension);
    }
    field.strip_prefix(prefix).ok_or(ScramError::Malformed("another attribute expected"))
}

/// What one side adds to the nonce: printable ASCII without a comma, not empty, not endless.
fn check_nonce(nonce: &str) -> Result<(), ScramError> {
    if nonce.len() > NONCE_BYTES_MAX {
        return Err(ScramError::TooLong);
    }
    if nonce.is_empty() || !nonce.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',') {
        return Err(ScramError::Malformed("invalid nonce"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn first(message: &str) -> Result<ClientFirst<'_>, ScramError> {
        ClientFirst::parse(message.as_bytes())
    }

    #[test]
    fn a_first_message_is_taken_apart() {
        for (flag, header) in [
            (BindingFlag::Unsupported, "n,,"),
            (BindingFlag::NotOffered, "y,,"),
            (BindingFlag::Bound("tls-unique"), "p=tls-unique,,"),
        ] {
            let expected = ClientFirst { flag, gs2_header: header, bare: "n=*,r=abc,x=later", nonce: "abc" };
            assert_eq!(first(&format!("{header}n=*,r=abc,x=later")), Ok(expected));
        }
    }

    #[test]
    fn first_messages_that_are_refused() {
        let long = format!("n,,n=,r={}", "x".repeat(NONCE_BYTES_MAX + 1));
        let endless = format!("n,,n=,r=x,{}", "x".repeat(MESSAGE_BYTES_MAX));
        for (message, error) in [
            ("n,a=admin,n=,r=abc", ScramError::AuthorizationIdentity),
            ("n,,m=x,n=,r=abc", ScramError::Extension),
            ("n,,n=,m=x,r=abc", ScramError::Extension),
            ("", ScramError::Malformed("channel binding flag expected")),
            ("q,,n=,r=abc", ScramError::Malformed("channel binding flag expected")),
            ("n", ScramError::Malformed("comma expected")),
            ("n,", ScramError::Malformed("user name expected")),
            ("n,,n=", ScramError::Malformed("attribute expected")),
            ("n,,n=,r=", ScramError::Malformed("invalid nonce")),
            ("n,,n=,r=a b", ScramError::Malformed("invalid nonce")),
            (&long, ScramError::TooLong),
            (&endless, ScramError::TooLong),
        ] {
            assert_eq!(first(message), Err(error), "{message}");
        }
    }

    #[test]
    fn server_messages_that_are_refused() {
        let nonce = |nonce: usize| format!("r=abc{},s=c2FsdA==,i=1", "x".repeat(nonce));
        let (long, longest) = (nonce(NONCE_BYTES_MAX + 1), nonce(NONCE_BYTES_MAX));
        assert!(ServerFirst::parse(longest.as_bytes(), "abc").is_ok());
        for (message, error) in [
            ("r=abX1,s=c2FsdA==,i=4096", ScramError::Nonce),
            ("r=abc,s=c2FsdA==,i=4096", ScramError::Malformed("invalid nonce")),
            (&long, ScramError::TooLong),
            ("m=1,r=abc1,s=c2FsdA==,i=4096", ScramError::Extension),
            ("r=abc1,s=,i=4096", ScramError::Malformed("invalid salt")),
            ("r=abc1,s=c2FsdA,i=4096", ScramError::Malformed("invalid salt")),
            ("r=abc1,s=c2FsdA==,i=0", ScramError::Iterations),
            ("r=abc1,s=c2FsdA==,i=100001", ScramError::Iterations),
            ("r=abc1,s=c2FsdA==,i=99999999999", ScramError::Iterations),
            ("r=abc1,s=c2FsdA==,i=-1", ScramError::Malformed("invalid iteration count")),
            ("r=abc1,s=c2FsdA==,i=+1", ScramError::Malformed("invalid iteration count")),
            ("r=abc1,s=c2FsdA==", ScramError::Malformed("attribute expected")),
        ] {
            assert_eq!(ServerFirst::parse(message.as_bytes(), "abc"), Err(error), "{message}");
        }
        assert_eq!(server_final(b"e=other-error"), Err(ScramError::Rejected));
        assert_eq!(server_final(b"v=c2hvcnQ="), Err(ScramError::Malformed("invalid server signature")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(
            message in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..64),
                "[nyp,a=]{0,5}[nrsicpvme=,+/0-9A-Za-z]{0,64}".prop_map(String::into_bytes),
            ],
        ) {
            let _ = ClientFirst::parse(&message);
            let _ = ServerFirst::parse(&message, "r");
            let _ = ClientFinal::parse(&message);
            let _ = server_final(&message);
        }
    }
}
