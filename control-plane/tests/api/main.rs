//! The control plane as its clients see it: over HTTP, with a real catalog and real clusters behind it.

#![expect(clippy::unwrap_used, reason = "a failing test shows where")]

mod audit;
mod authorization;
mod clusters;
mod connections;
mod credentials;
#[path = "../../../tests/harness/src/dns.rs"]
pub mod dns;
mod fixture;
mod gateways;
mod idor;
mod issuers;
mod operations;
mod people;
mod plans;
mod problems;
mod recovery;
mod secrecy;
mod slow;
mod tenants;
mod tls;
