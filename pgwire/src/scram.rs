//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677): the server towards clients, and a client towards
//! servers.
//!
//! Passwords never cross the wire and are never stored: a server keeps a [`Verifier`], in the very
//! text that PostgreSQL keeps in `pg_authid.rolpassword`.
//!
//! ```text
//! client                                   server
//!                                          ServerExchange::new(verifier) or ::mock(seed, identity)
//! ClientExchange::new(…)  ◀─ mechanisms ──      .mechanisms()
//!      .client_first()   ── n,,n=,r=… ──▶  .first()  ──▶ ServerChallenge
//!      .answer()         ◀─ r=…,s=…,i=… ─
//!   ClientAnswer         ── c=…,r=…,p=… ▶  .finish()     the client knows the password
//!      .verify()         ◀─ v=… ──────────               the server knows the verifier
//! ```
//!
//! Each step consumes the one before, so a step can be neither skipped nor repeated.
//!
//! **Someone unknown looks like someone with another password.** [`ServerExchange::mock`] goes through
//! the same steps at the same cost, shows one person the same salt each time, as a real verifier
//! would, and never succeeds.
//!
//! **Somebody may have several passwords**, to change from one to the next: [`Candidates`] are tried in one
//! exchange, and succeed if one of them does.
//!
//! **Channel binding** ([`ChannelBinding`]). On a TLS connection a server also offers `SCRAM-SHA-256-PLUS`, and a
//! client that can, chooses it: both sign the hash of the certificate that they see, so nobody who shows another
//! one in between can pass the login on. A client that could have but was not offered it says `y`, which reveals
//! a stripped offer: it is refused where the offer was made. What a client said must come back unchanged in its
//! signed last message.
//!
//! **Keys in place of a password.** [`ClientKeys`] are all that a login needs. Those of
//! [`ClientKeys::generate`] belong to no password at all; their verifier goes to the server, they stay with the
//! client, and no login hashes anything [`ITERATIONS_DEFAULT`] times. A server that shows another salt or other
//! rounds has another verifier: [`ScramError::KeysOutdated`], before anything is proved to it.
//!
//! **Work is bounded** for either peer: messages, nonces and salts have a longest length and a server
//! may ask for no more than [`ITERATIONS_MAX`] rounds of hashing.
//!
//! What this module must never do: log, or put a password, key or nonce into an error.

mod binding;
mod candidates;
mod client;
mod crypto;
mod error;
mod keys;
mod message;
mod server;
mod verifier;

#[cfg(test)]
mod tests;

pub use binding::ChannelBinding;
pub use candidates::Candidates;
pub use client::{ClientAnswer, ClientCredential, ClientExchange};
pub use error::ScramError;
pub use keys::ClientKeys;
pub use server::{Accepted, ServerChallenge, ServerExchange};
pub use verifier::Verifier;

/// The name in SASL of the mechanism without channel binding.
pub const SCRAM_SHA_256: &str = "SCRAM-SHA-256";

/// The name in SASL of the mechanism with channel binding.
pub const SCRAM_SHA_256_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// The rounds of hashing that PostgreSQL asks for unless told otherwise (`scram_iterations`), and the
/// least that RFC 7677 recommends.
pub const ITERATIONS_DEFAULT: u32 = 4096;

/// The most rounds that a server may ask of us. The number comes from the other side and each round
/// costs processor time before anybody is authenticated; pgjdbc drew the same line after
/// CVE-2026-42198. A login at this bound takes some tens of milliseconds.
pub const ITERATIONS_MAX: u32 = 100_000;

/// Bytes of salt in verifiers that we make; PostgreSQL's `SCRAM_DEFAULT_SALT_LEN`.
pub const SALT_BYTES: usize = 16;
