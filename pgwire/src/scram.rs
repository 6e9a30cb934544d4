//! SCRAM-SHA-256 (RFC 5802, RFC 7677): the server towards clients, and a client towards servers.
//!
//! Passwords never cross the wire and are never stored: a server keeps a [`Verifier`], in the very
//! text that PostgreSQL keeps in `pg_authid.rolpassword`.
//!
//! ```text
//! client                                   server
//! ClientExchange::new(password)            ServerExchange::new(verifier) or ::mock(seed, identity)
//!      .client_first()   ── n,,n=,r=… ──▶  .first()  ──▶ ServerChallenge
//!      .answer()         ◀─ r=…,s=…,i=… ─
//!   ClientAnswer         ── c=…,r=…,p=… ▶  .finish()     the client knows the password
//!      .verify()         ◀─ v=… ──────────               the server knows the verifier
//!   ──▶ ClientKeys: kept, they make the next login cheap
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
//! **No channel binding.** `SCRAM-SHA-256-PLUS` is not offered, so a client that insists on it (`p=`)
//! is refused in words that say so. A client that could have used it says `y`, which would reveal a
//! stripped offer if we made one; `n` and `y` must come back unchanged in the signed last message.
//!
//! **Work is bounded** for either peer: messages, nonces and salts have a longest length and a server
//! may ask for no more than [`ITERATIONS_MAX`] rounds of hashing.
//!
//! What this module must never do: log, or put a password, key or nonce into an error.

mod candidates;
mod client;
mod crypto;
mod error;
mod message;
mod server;
mod verifier;

#[cfg(test)]
mod tests;

pub use candidates::Candidates;
pub use client::{ClientAnswer, ClientExchange, ClientKeys};
pub use error::ScramError;
pub use server::{ServerChallenge, ServerExchange};
pub use verifier::Verifier;

/// The mechanism's name in SASL.
pub const SCRAM_SHA_256: &str = "SCRAM-SHA-256";

/// The rounds of hashing that PostgreSQL asks for unless told otherwise (`scram_iterations`), and the
/// least that RFC 7677 recommends.
pub const ITERATIONS_DEFAULT: u32 = 4096;

/// The most rounds that a server may ask of us. The number comes from the other side and each round
/// costs processor time before anybody is authenticated; pgjdbc drew the same line after
/// CVE-2026-42198. A login at this bound takes some tens of milliseconds.
pub const ITERATIONS_MAX: u32 = 100_000;

/// Bytes of salt in verifiers that we make; PostgreSQL's `SCRAM_DEFAULT_SALT_LEN`.
pub const SALT_BYTES: usize = 16;
