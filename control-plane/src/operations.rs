//! The durable engine, and what it carries out.
//!
//! An operation is a row in the catalog with a list of steps. A worker claims it under a lease and a
//! fencing number ([`worker`]), and walks it ([`executor`]): each step is recorded before it begins and
//! after it ends, so a crash leaves at most one step in doubt, and that one runs again. A step that
//! fails is tried again for a while; then everything done so far is undone, the last first. From its point of no
//! return on an operation only goes forward: it is tried again until it succeeds, and never undone.
//!
//! Steps know nothing of HTTP and see only their [`context::StepContext`]. They must bear to run twice, to be
//! undone when they did nothing, and to be cut off anywhere.
//!
//! Each operation is one file, in this order: its steps, then what they do, then the three standard tests
//! (`standard`): undone after a failure at each step, each step repeated, killed and resumed at each step.

mod backoff;
mod context;
mod error;
mod executor;
pub mod failpoint;
mod gateways;
mod journal;
mod progress;
mod provision;
mod purge;
mod registry;
mod resume;
#[cfg(test)]
pub(crate) mod standard;
mod step;
mod suspend;
mod target;
mod worker;

pub(crate) use progress::Progress;
pub(crate) use provision::candidate;
pub(crate) use registry::OperationKind;
pub(crate) use worker::Worker;
