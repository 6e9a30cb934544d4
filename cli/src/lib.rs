//! Tenantry's one binary and what it is made of: the local stack (`dev`), the two servers, and the
//! verbs that speak to the control plane's API.
//!
//! The verbs know nothing that a stranger with the API's documentation would not know: they never
//! touch the catalog or a cluster. Only `dev` and `catalog migrate` hold a catalog DSN.

pub mod cli;
pub mod client;
pub mod dev;
pub mod exit;
pub mod output;
mod password;
pub mod progress;

mod commands;
mod duration;
mod logging;
mod signal;

pub use launcher as postgres;
