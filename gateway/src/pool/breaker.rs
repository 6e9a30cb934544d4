//! When to log in to a server again after a login has failed, and when to tell clients that it is of no use.
//!
//! ```text
//! Logins (one a pool) ── its own Breaker: what went wrong with this tenant's database or role
//!    └── Endpoint (one an address of a cluster) ── Breaker: what went wrong with the server
//!                                               └─ places for logins under way
//! ```
//!
//! After a first failure clients go on waiting in their queues, and one login at a time is tried, with pauses that
//! grow: a server that restarts costs its clients time and no errors. When that has lasted for as long as the
//! settings say, or cannot pass by itself, the breaker is open: clients are refused at once and told when the next
//! login is tried. The first login that succeeds closes it.
//!
//! What is here must never stand between a client and an open connection: only whoever needs a new one asks. It
//! opens nothing itself, and [`machine`] knows neither a clock nor chance: both are handed in.

pub mod endpoint;
mod logins;
pub mod machine;
pub mod pause;

pub use endpoint::{Endpoint, LoginCounts};
pub use logins::{Attempt, Logins, NotNow};
pub use machine::{Prognosis, Standing};
