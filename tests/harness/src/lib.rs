//! What the suites share: the whole stack on real PostgreSQL servers, real clients, and faults.
//!
//! A [`Stack`] lives in a directory of its own, on free ports, so that tests run side by side. Tenants
//! are made through the real API and reached through the real gateway. A helper that fails panics
//! with the reason: a test has nothing better to do. Nothing here sleeps for a condition, and
//! nothing reaches into a plane's memory: what a client could not see, a test does not see.

mod behind;
mod dns;
mod door;
pub mod messages;
pub mod oidc;
mod process;
mod proxy;
mod shared;
mod stack;
mod tenant;
mod tools;
mod wait;
pub mod wire;

pub use behind::Physical;
pub use dns::NameServer;
pub use door::{Knock, log_in};
pub use oidc::Oidc;
pub use process::ChildProcess;
pub use proxy::{Direction, End, Fault, FaultProxy};
pub use shared::SharedStack;
pub use stack::Stack;
pub use tenant::Tenant;
pub use tools::{Output, Tool, python, run, run_within};
pub use wait::{DEADLINE, eventually, wait_until};
