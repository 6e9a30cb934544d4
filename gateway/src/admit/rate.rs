//! A tenant's rate of requests: may one more begin now?
//!
//! ```text
//! bucket   what may begin, in one atomic       book     the tenants that ask, for whoever shares rates out
//! meter    a tenant's bucket and its terms     shown    what HTTP says of it
//! toll     a client that keeps its connection pays for each request
//! ```
//!
//! The rate is the tenant's over all gateways. Each has a share of it by a lease in the catalog
//! (`resolve::follow::rates`) and a bucket that fills at that share. What comes when the bucket is empty waits, bounded
//! in time, or is refused; over HTTP it is refused at once. A request is refused before it begins and never inside a
//! transaction: what a transaction takes beyond the bucket is owed, and what comes next waits for it.
//!
//! What this must never do: make a tenant without a limit pay more than one load, ask anybody on the way of a
//! request, or let gateways together pass more than the rate.

pub mod book;
pub mod bucket;
pub mod meter;
pub mod shown;
pub mod toll;

pub(in crate::admit) use bucket::wait_for;

pub use book::Book;
pub use meter::{Meter, Standing};

use crate::error::Refusal;
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use tenancy::ErrorKind;

static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Nanoseconds of a clock that nobody sets. They last for 584 years.
pub(in crate::admit) fn now() -> u64 {
    nanoseconds(STARTED.elapsed())
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What is heard by whoever comes too fast.
fn exceeded(per_second: u32, wait: Duration) -> Refusal {
    let message = format!("the tenant's rate of {per_second} requests per second is exceeded");
    let wait_ms = wait.as_millis().max(1);
    Refusal::new(ErrorKind::RateLimited, message)
        .hint(format!("try again in {wait_ms} ms, or ask for a larger plan"))
        .retry_after(wait)
}
