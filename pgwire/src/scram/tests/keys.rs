//! Logging in with keys in place of a password.

use super::*;

#[test]
fn kept_keys_replace_the_password_until_the_salt_or_the_rounds_change() {
    let keys = ClientKeys::derive(&secret("pencil"), b"some salt", 2).unwrap();
    assert!(login(unbound(verifier("pencil")), keys.clone()).is_ok());
    for (salt, rounds) in [(&b"other salt"[..], 2), (b"some salt", 3)] {
        let changed = Verifier::derive(&secret("pencil"), salt, rounds).unwrap();
        let refused = login(unbound(changed), keys.clone());
        assert_eq!(refused.unwrap_err(), ScramError::KeysOutdated);
    }
    // The same salt and rounds with another password: only the server can tell.
    assert_eq!(login(unbound(verifier("eraser")), keys).unwrap_err(), ScramError::Rejected);
}

#[test]
fn keys_made_without_a_password_log_in_with_their_own_verifier_only() {
    let (keys, verifier) = ClientKeys::generate().unwrap();
    let (others, _) = ClientKeys::generate().unwrap();
    let stored = Verifier::parse(&verifier.to_string()).unwrap();
    assert!(login(unbound(stored), keys.clone()).is_ok());
    assert_eq!(login(unbound(verifier), others).unwrap_err(), ScramError::KeysOutdated);
    assert!(Verifier::from_keys(&keys).to_string().starts_with("SCRAM-SHA-256$4096:"));
}

#[test]
fn keys_are_read_as_they_were_written() {
    let (keys, verifier) = ClientKeys::generate().unwrap();
    let bytes = keys.to_bytes();
    let read = ClientKeys::from_bytes(&bytes).unwrap();
    assert_eq!(read.to_bytes(), bytes);
    assert!(login(unbound(verifier), read).is_ok());
    for broken in [&[][..], &bytes[..bytes.len() - SALT_BYTES], &[&[2], &bytes[1..]].concat()] {
        assert_eq!(ClientKeys::from_bytes(broken).unwrap_err(), ScramError::Keys);
    }
    let endless_rounds = [&[1, 0xff, 0xff, 0xff, 0xff], &bytes[5..]].concat();
    assert_eq!(ClientKeys::from_bytes(&endless_rounds).unwrap_err(), ScramError::Keys);
}
