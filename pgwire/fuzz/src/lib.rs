//! What is tried on every decoder of `pgwire`, with any bytes.
//!
//! Each module is one target: a function `run` that takes what a peer might send, and panics when a promise of the
//! crate is broken. The promises are more than not to crash: what was read can be written again and is the same,
//! a prefix says nothing that more bytes would change, and no bytes that can be made without a key log anybody in.
//!
//! `fuzz_targets/` hands these functions to libFuzzer; `pgwire/tests/corpus.rs` runs them over the committed corpus
//! in every `cargo test`. So they use the public interface only, and must not depend on time or on what ran before.

pub mod client_messages;
pub mod error_fields;
pub mod rows;
pub mod scram_client;
pub mod scram_server;
pub mod server_messages;
pub mod startup;

mod frames;
mod words;
