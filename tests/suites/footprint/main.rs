//! What a gateway costs while it does nothing: memory for each tenant, user and client, and processor time.
//!
//! [`memory`] counts allocations, which do not depend on the machine, and holds them to generous bounds. It has this process
//! to itself. [`figures`] measures a process of its own for docs/benchmarks.md, and judges nothing.

mod figures;
mod memory;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;

/// Counts what this process has allocated: the gateway, and what tests and control plane hold beside it.
#[global_allocator]
static ALLOCATED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;
