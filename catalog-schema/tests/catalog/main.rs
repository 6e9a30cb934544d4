//! The catalog against a real PostgreSQL. One binary, so that its tests share one server, in a
//! database each.

#![expect(clippy::unwrap_used, reason = "a failing test shows where")]

mod access_roles;
mod audit;
mod domains;
mod features;
mod fixture;
mod gateways;
mod idempotency;
mod issuers;
mod leases;
mod migrations;
mod operations;
mod outage;
mod placements;
mod rates;
mod refused_tokens;
mod revision;
mod routes;
mod secrets;
mod tenants;
mod tls;
mod turns;
mod uses;
