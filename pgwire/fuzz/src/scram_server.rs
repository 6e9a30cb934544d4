//! SCRAM with a client that anybody could be, and what a catalog might hold.

use super::words::{NONCE, Words};
use pgwire::frontend::SaslInitial;
use pgwire::scram::{ChannelBinding, ClientKeys, ScramError, ServerExchange, Verifier};

/// `pencil`, as PostgreSQL stores it.
const VERIFIER: &str = "SCRAM-SHA-256$4096:BxYhi5oU0ccuJasunD+dQA==\
                        $z2AHZafSO28qgF/J+NpQ7DCreBx3/3PMpMJlE+9dJbM=:gLiMrTpwCvNlFewS7e5Ky79b0yYnu50UoV7Y+lOnOzM=";

/// Takes one word that chooses whom the client talks to, its choice of mechanism, and its two messages, in which
/// `$NONCE` stands for the nonce that the server has shown. Nobody gets in: the password is in no message.
pub fn run(bytes: &[u8]) {
    stored(bytes);
    let mut words = Words::of(bytes);
    let exchange = exchange(words.next());
    let offered = exchange.mechanisms();
    let initial = words.next();
    let (mechanism, first) = match SaslInitial::parse(initial) {
        Ok(initial) => (initial.mechanism, initial.data.unwrap_or_default()),
        Err(_) => (offered[0].as_bytes(), initial),
    };
    let Ok((challenge, server_first)) = exchange.first(mechanism, first) else { return };
    assert!(offered.iter().any(|offer| offer.as_bytes() == mechanism), "only what is offered goes on");
    let nonce = server_first.strip_prefix("r=").and_then(|rest| rest.split(',').next()).expect("a nonce");
    let last = words.next_with(NONCE, nonce);
    let refused = challenge.finish(&last).expect_err("nobody logs in without the password");
    assert!(!matches!(refused, ScramError::Random(_)));
}

fn exchange(word: &[u8]) -> ServerExchange {
    let choice = word.first().copied().unwrap_or_default();
    let binding = match choice & 1 {
        0 => ChannelBinding::Unavailable,
        _ => ChannelBinding::TlsServerEndPoint(b"the hash of a certificate".to_vec()),
    };
    match choice & 2 {
        0 => ServerExchange::mock(&[7; 32], "acme/app", binding),
        _ => ServerExchange::new(Verifier::parse(VERIFIER).expect("a good verifier"), binding),
    }
}

/// What is read from a catalog is written there again as it was.
fn stored(bytes: &[u8]) {
    if let Some(verifier) = std::str::from_utf8(bytes).ok().and_then(|text| Verifier::parse(text).ok()) {
        let text = verifier.to_string();
        assert_eq!(Verifier::parse(&text).expect("its own text").to_string(), text);
    }
    if let Ok(keys) = ClientKeys::from_bytes(bytes) {
        assert_eq!(keys.to_bytes().as_slice(), bytes);
        Verifier::parse(&Verifier::from_keys(&keys).to_string()).expect("its own text");
    }
}
