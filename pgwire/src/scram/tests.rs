//! Both sides against each other, against the vectors of RFC 7677, and against somebody in between.

mod binding;
mod keys;

use super::binding::Choice;
use super::*;
use crate::backend::{Authentication, Mechanisms};
use proptest::prelude::*;
use tenancy::Secret;

// RFC 7677 §3.
const RFC_CLIENT_FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const RFC_SERVER_FIRST: &str =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const RFC_CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                                p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const RFC_SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

/// What PostgreSQL 15 stored for `CREATE ROLE … PASSWORD 'pencil'`.
const STORED_BY_POSTGRESQL: &str = "SCRAM-SHA-256$4096:BxYhi5oU0ccuJasunD+dQA==\
                                    $z2AHZafSO28qgF/J+NpQ7DCreBx3/3PMpMJlE+9dJbM=\
                                    :gLiMrTpwCvNlFewS7e5Ky79b0yYnu50UoV7Y+lOnOzM=";
/// The same for `U&'\2168\00AD pass'`, which SASLprep turns into `IX pass`.
const STORED_BY_POSTGRESQL_UNICODE: &str = "SCRAM-SHA-256$4096:Rv9z2UmW4hJ8MPfQ5+sgnw==\
                                            $lCyg2Kg9BFDLUB6qQyLzbCP/EOAM/Hi172Qt0q5gDjk=\
                                            :thUUTgY7j/EEZxrNwknCV3JscIvDTKS93LAbVYXEyAI=";

const SEED: [u8; 32] = [7; 32];

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

/// A verifier that costs little.
fn verifier(password: &str) -> Verifier {
    Verifier::derive(&secret(password), b"some salt", 2).unwrap()
}

/// What a server without TLS offers, and no more.
const PLAIN: &[u8] = b"\0\0\0\x0aSCRAM-SHA-256\0\0";

/// What a server with TLS offers.
const PLUS: &[u8] = b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";

fn offer(body: &[u8]) -> Mechanisms<'_> {
    let Ok(Authentication::Sasl(offered)) = Authentication::parse(body) else { panic!("SASL") };
    offered
}

fn bound_to(certificate: &str) -> ChannelBinding {
    ChannelBinding::TlsServerEndPoint(certificate.as_bytes().to_vec())
}

fn unbound(candidates: impl Into<Candidates>) -> ServerExchange {
    ServerExchange::new(candidates, ChannelBinding::Unavailable)
}

/// A login from end to end, without TLS.
fn login(server: ServerExchange, credential: impl Into<ClientCredential>) -> Result<(), ScramError> {
    finish(server, ClientExchange::new(credential, &offer(PLAIN), ChannelBinding::Unavailable)?)
}

fn login_by(server: ServerExchange, password: &str) -> Result<(), ScramError> {
    login(server, secret(password))
}

fn finish(server: ServerExchange, client: ClientExchange) -> Result<(), ScramError> {
    let (challenge, server_first) =
        server.first(client.mechanism().as_bytes(), client.client_first().as_bytes())?;
    let (answer, client_final) = client.answer(server_first.as_bytes())?;
    answer.verify(challenge.finish(client_final.as_bytes())?.message.as_bytes())
}

/// A client that is about to see the server's first message.
fn client(user: &str, nonce: &str) -> ClientExchange {
    ClientExchange::with(secret("pencil"), Choice::without_binding("n,,"), user, nonce.to_owned())
}

/// A login up to the client's last message, for tests that change it.
fn interrupted(verifier: Verifier, client_first: &str) -> (ServerChallenge, String) {
    let plain = SCRAM_SHA_256.as_bytes();
    let (challenge, server_first) =
        unbound(verifier).first_with(plain, client_first.as_bytes(), "server").unwrap();
    let (_, client_final) = client("", "client").answer(server_first.as_bytes()).unwrap();
    (challenge, client_final)
}

#[test]
fn the_client_speaks_as_in_the_rfc() {
    let client = client("user", "rOprNGfwEbeRWgbNEkqO");
    assert_eq!(client.client_first(), RFC_CLIENT_FIRST);
    let (answer, client_final) = client.answer(RFC_SERVER_FIRST.as_bytes()).unwrap();
    assert_eq!(client_final, RFC_CLIENT_FINAL);
    assert!(answer.verify(RFC_SERVER_FINAL.as_bytes()).is_ok());
}

#[test]
fn the_server_speaks_as_in_the_rfc() {
    let salt = crypto::decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let verifier = Verifier::derive(&secret("pencil"), &salt, 4096).unwrap();
    let (plain, nonce) = (SCRAM_SHA_256.as_bytes(), "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    let (challenge, server_first) =
        unbound(verifier).first_with(plain, RFC_CLIENT_FIRST.as_bytes(), nonce).unwrap();
    assert_eq!(server_first, RFC_SERVER_FIRST);
    let accepted = challenge.finish(RFC_CLIENT_FINAL.as_bytes()).map(|accepted| accepted.message);
    assert_eq!(accepted, Ok(RFC_SERVER_FINAL.to_owned()));
}

#[test]
fn verifiers_are_the_ones_that_postgresql_stores() {
    let stored = [(STORED_BY_POSTGRESQL, "pencil"), (STORED_BY_POSTGRESQL_UNICODE, "\u{2168}\u{ad} pass")];
    for (text, password) in stored {
        let verifier = Verifier::parse(text).unwrap();
        assert_eq!(verifier.to_string(), text);
        assert!(verifier.check_password(&secret(password)));
        assert!(!verifier.check_password(&secret("pencils")));
        let again = Verifier::derive(&secret(password), &verifier.salt, verifier.iterations).unwrap();
        assert_eq!(again.to_string(), text);
    }
    assert!(Verifier::parse(STORED_BY_POSTGRESQL_UNICODE).unwrap().check_password(&secret("IX pass")));
}

#[test]
fn generated_verifiers_have_their_own_salt_and_work() {
    let (one, two) =
        (Verifier::generate(&secret("pencil")).unwrap(), Verifier::generate(&secret("pencil")).unwrap());
    assert_ne!(one.to_string(), two.to_string());
    assert!(login_by(unbound(one), "pencil").is_ok());
}

#[test]
fn what_is_no_verifier_is_refused() {
    let keys = "$z2AHZafSO28qgF/J+NpQ7DCreBx3/3PMpMJlE+9dJbM=:gLiMrTpwCvNlFewS7e5Ky79b0yYnu50UoV7Y+lOnOzM=";
    for text in [
        "",
        "pencil",
        "md5d8578edf8458ce06fbc5bb76a58c5ca4",
        "SCRAM-SHA-256$4096:BxYhi5oU0ccuJasunD+dQA==",
        "SCRAM-SHA-256$4096:BxYhi5oU0ccuJasunD+dQA==$c2hvcnQ=:c2hvcnQ=",
        &format!("SCRAM-SHA-1$4096:BxYhi5oU0ccuJasunD+dQA=={keys}"),
        &format!("SCRAM-SHA-256$4096:{keys}"),
        &format!("SCRAM-SHA-256$many:BxYhi5oU0ccuJasunD+dQA=={keys}"),
        &format!("SCRAM-SHA-256$4096:BxYhi5oU0ccuJasunD+dQA=={keys}$more"),
    ] {
        assert_eq!(Verifier::parse(text).unwrap_err(), ScramError::Verifier, "{text}");
    }
    for rounds in ["0", "100001", "4294967296"] {
        let text = format!("SCRAM-SHA-256${rounds}:BxYhi5oU0ccuJasunD+dQA=={keys}");
        assert_eq!(Verifier::parse(&text).unwrap_err(), ScramError::Iterations, "{text}");
    }
    assert!(Verifier::derive(&secret("x"), b"", 1).is_err());
    assert!(Verifier::derive(&secret("x"), b"salt", ITERATIONS_MAX + 1).is_err());
}

#[test]
fn any_of_several_passwords_logs_in() {
    let first = Verifier::generate(&secret("pencil")).unwrap();
    let strange = Verifier::generate(&secret("eraser")).unwrap();
    let all = [first.clone(), strange, first.beside(&secret("ruler")), first.beside(&secret("stapler"))];
    let candidates = Candidates::of(all).unwrap();
    for password in ["pencil", "ruler", "stapler"] {
        assert!(login_by(unbound(candidates.clone()), password).is_ok(), "{password}");
        assert!(candidates.check_password(&secret(password)).is_some(), "{password}");
    }
    // Another salt than the one shown: it cannot be tried.
    for password in ["eraser", "", "pencilruler"] {
        let refused = login_by(unbound(candidates.clone()), password);
        assert_eq!(refused.unwrap_err(), ScramError::Rejected, "{password}");
        assert!(candidates.check_password(&secret(password)).is_none(), "{password}");
    }
    assert!(Candidates::of([]).is_none());
}

#[test]
fn only_the_right_password_logs_in() {
    assert!(login_by(unbound(verifier("pencil")), "pencil").is_ok());
    for wrong in ["Pencil", "", "pencil "] {
        let refused = login_by(unbound(verifier("pencil")), wrong);
        assert_eq!(refused.unwrap_err(), ScramError::Rejected);
    }
}

#[test]
fn a_mock_looks_like_a_person_and_never_succeeds() {
    let client_first = b"n,,n=,r=client";
    let shape = |message: &str| {
        let fields: Vec<_> = message.split(',').map(|field| (field[..2].to_owned(), field.len())).collect();
        (fields, message.ends_with(",i=4096"))
    };
    let mock = || ServerExchange::mock(&SEED, "acme/app", ChannelBinding::Unavailable);
    let real = unbound(Verifier::generate(&secret("pencil")).unwrap());
    assert_eq!(mock().mechanisms(), real.mechanisms());
    let (_, real_first) = real.first(SCRAM_SHA_256.as_bytes(), client_first).unwrap();
    let (_, mock_first) = mock().first(SCRAM_SHA_256.as_bytes(), client_first).unwrap();
    assert_eq!(shape(&mock_first), shape(&real_first));

    let refused = login_by(mock(), "pencil");
    assert_eq!(refused.unwrap_err(), ScramError::Rejected);
    assert!(!Verifier::mock(&SEED, "acme/app").check_password(&secret("pencil")));
}

#[test]
fn a_mock_fails_even_with_the_right_keys() {
    let mut mock = Verifier::mock(&SEED, "acme/app");
    let known = Verifier::derive(&secret("pencil"), &mock.salt, mock.iterations).unwrap();
    (mock.stored_key, mock.server_key) = (known.stored_key, known.server_key);
    assert!(!mock.check_password(&secret("pencil")));
    assert_eq!(login_by(unbound(mock), "pencil").unwrap_err(), ScramError::Rejected);
}

#[test]
fn a_mock_shows_each_person_a_salt_of_their_own_and_always_the_same() {
    let salt = |seed: &[u8; 32], identity: &str| Verifier::mock(seed, identity).salt;
    assert_eq!(salt(&SEED, "acme/app"), salt(&SEED, "acme/app"));
    assert_ne!(salt(&SEED, "acme/app"), salt(&SEED, "other/app"));
    assert_ne!(salt(&SEED, "acme/app"), salt(&[8; 32], "acme/app"));
}

#[test]
fn another_exchanges_messages_are_refused() {
    let (_, client_final) = interrupted(verifier("pencil"), "n,,n=,r=client");
    let other = unbound(verifier("pencil")).first(b"SCRAM-SHA-256", b"n,,n=,r=client").unwrap().0;
    assert_eq!(other.finish(client_final.as_bytes()).err(), Some(ScramError::Nonce));
}

#[test]
fn a_server_that_does_not_know_the_verifier_is_found_out() {
    for server_final in [RFC_SERVER_FINAL, "e=invalid-proof", "v=", "", "v=x"] {
        let (answer, _) = client("", "client").answer(b"r=clientserver,s=c2FsdA==,i=1").unwrap();
        assert!(answer.verify(server_final.as_bytes()).is_err(), "{server_final}");
    }
}

#[test]
fn nothing_secret_is_shown() {
    let (keys, _) = ClientKeys::generate().unwrap();
    let credential = ClientCredential::from(keys.clone());
    assert_eq!(format!("{credential:?}"), "Keys(ClientKeys([redacted]))");
    assert_eq!(format!("{:?}", ClientCredential::from(secret("pencil"))), "Password([redacted])");
    let client = client("", "client");
    let server = unbound(verifier("pencil"));
    assert_eq!(format!("{keys:?} {client:?}"), "ClientKeys([redacted]) ClientExchange");
    let redacted = "ServerExchange { candidates: Candidates { first: Verifier([redacted]), others: [] }, \
                    binding: Unavailable }";
    assert_eq!(format!("{server:?}"), redacted);
}

proptest! {
    #[test]
    fn a_changed_byte_never_logs_in(place in any::<proptest::sample::Index>(), change in 1_u8..) {
        let (challenge, client_final) = interrupted(verifier("pencil"), "n,,n=,r=client");
        let mut bytes = client_final.into_bytes();
        let place = place.index(bytes.len());
        bytes[place] ^= change;
        prop_assert!(challenge.finish(&bytes).is_err());
    }

    #[test]
    fn any_password_logs_in_with_its_own_verifier(password in any::<String>()) {
        prop_assert!(login_by(unbound(verifier(&password)), &password).is_ok());
    }

    #[test]
    fn verifiers_are_read_as_they_were_written(salt in proptest::collection::vec(any::<u8>(), 1..40), rounds in 1_u32..5) {
        let text = Verifier::derive(&secret("pencil"), &salt, rounds).unwrap().to_string();
        prop_assert_eq!(Verifier::parse(&text).unwrap().to_string(), text);
    }

    #[test]
    fn any_text_is_survived_as_a_verifier(text in "(SCRAM-SHA-256)?[$:0-9A-Za-z+/=]{0,120}") {
        let _ = Verifier::parse(&text);
    }
}
