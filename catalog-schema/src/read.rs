//! What can be asked of the catalog, one file a thing. Nothing here changes a row, but for a
//! gateway's own heartbeat, its leases with it, which is the one thing that a gateway writes.

pub mod access_roles;
pub mod allow_lists;
pub mod audit;
pub mod clusters;
pub mod credentials;
pub mod domains;
pub mod features;
pub mod gateways;
pub mod holders;
pub mod idempotency;
pub mod identity;
pub mod invites;
pub mod issuers;
pub mod leases;
pub mod logins;
pub mod members;
pub mod operations;
pub mod placements;
pub mod plans;
pub mod rates;
pub mod regions;
pub mod revocations;
pub mod role_settings;
pub mod roles;
pub mod routes;
pub mod services;
pub mod sessions;
pub mod signing_keys;
pub mod storage;
pub mod tenants;
pub mod tombstones;
pub mod users;
pub mod uses;

pub(crate) mod route_row;
