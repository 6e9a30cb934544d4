//! What the control plane changes, one file a thing, as methods of [`crate::Tx`] and
//! [`crate::FencedTx`]. Each change notes its audit row, which is committed with it.
//!
//! Claims and their renewal stand outside transactions: they are one statement each, and they are
//! about who works, not about what is changed.

pub mod access_roles;
pub mod allow_lists;
pub mod audit;
pub mod clusters;
pub mod credentials;
pub mod domains;
pub mod features;
pub mod gateways;
pub mod idempotency;
pub mod invites;
pub mod issuers;
pub mod members;
pub mod operations;
pub mod placements;
pub mod plans;
pub mod regions;
pub mod role_settings;
pub mod roles;
pub mod services;
pub mod sessions;
pub mod signing_keys;
pub mod standing;
pub mod steps;
pub mod storage;
pub mod tenants;
pub mod tombstones;
pub mod upkeep;
pub mod users;
pub mod uses;
