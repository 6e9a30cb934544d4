//! Tokens of identity providers: verified, and read for who is meant and where.
//!
//! ```text
//! token (size, header, who it says it is from) ─► jwks (that issuer's public keys) ─► verify (signature, iss, aud, exp, nbf)
//!                                                                                      └─► claims ─► shape: tenant, user, role
//! ```
//!
//! All but [`jwks`] is pure. What a token is held against comes from the catalog ([`tenancy::Issuer`]) and from the
//! issuer's own address, never from the token: its header may name a key by its id and a permitted algorithm, and
//! leads nowhere (`jku`, `x5u`, `jwk` and `x5c` are not looked at).
//!
//! What this crate must never do: accept a signature that anybody but the issuer could have made (`none`, a shared
//! secret, a public key taken for one), believe a claim before the signature is checked, let one issuer's trouble keep
//! another's tokens waiting, or let a token's text into a log or an error.

pub mod claims;
pub mod error;
pub mod jwks;
pub mod keys;
pub mod own;
pub mod shape;
pub mod token;
pub mod verify;

#[cfg(test)]
mod testing;

pub use error::TokenError;
pub use jwks::{FetchError, Jwks, JwksError};
pub use keys::KeySet;
pub use own::{GatewayToken, OwnKey};
pub use shape::TenantName;
pub use token::Token;
pub use verify::{Verified, subject, verify};
