//! SCRAM with a server that may be another than it should.

use super::words::{NONCE, Words};
use pgwire::backend::Authentication;
use pgwire::scram::{ChannelBinding, ClientExchange, ClientKeys, ScramError};

/// What the keys were made with; base64 of `salt`.
const SALT: &[u8] = b"salt";

/// Takes one word that chooses whether the client can bind, the server's offer, and its two messages, in which
/// `$NONCE` stands for the nonce that the client has sent. No server proves itself: the keys are in no message.
pub fn run(bytes: &[u8]) {
    let mut words = Words::of(bytes);
    let binding = match words.next().first().copied().unwrap_or_default() & 1 {
        0 => ChannelBinding::Unavailable,
        _ => ChannelBinding::TlsServerEndPoint(b"the hash of a certificate".to_vec()),
    };
    let Ok(Authentication::Sasl(offered)) = Authentication::parse(words.next()) else { return };
    let exchange = match ClientExchange::new(keys(), &offered, binding) {
        Ok(exchange) => exchange,
        Err(error) => return assert!(matches!(error, ScramError::NotOffered)),
    };
    assert!(offered.offers(exchange.mechanism()));
    let first = exchange.client_first();
    let (_, nonce) = first.rsplit_once("r=").expect("a nonce");
    let Ok((answer, client_final)) = exchange.answer(&words.next_with(NONCE, nonce)) else { return };
    assert!(client_final.starts_with("c=") && client_final.contains(nonce));
    answer.verify(&words.next_with(NONCE, nonce)).expect_err("nobody proves itself without the keys");
}

/// Keys, not a password: hashing as often as a server may ask would leave time for little else.
fn keys() -> ClientKeys {
    let bytes = [&[1, 0, 0, 0x10, 0][..], &[3; 32], &[5; 32], SALT].concat();
    ClientKeys::from_bytes(&bytes).expect("the layout of version 1")
}
