//! Plans of a test's own: small pools, short queues.

use catalog_schema::{Catalog, Context, MasterKey, PlanRecord};
use harness::Stack;
use tenancy::{Limits, Secret};

/// Limits in the order: pool, clients, queue, check-out time-out in milliseconds.
#[must_use]
pub const fn limits(pool_size: u32, client_limit: u32, queue_limit: u32, checkout_timeout_ms: u32) -> Limits {
    Limits { pool_size, client_limit, queue_limit, checkout_timeout_ms, ..Limits::STANDARD }
}

/// Adds a plan to the stack's catalog, or changes it.
///
/// # Panics
/// When the catalog refuses.
pub async fn add(stack: &Stack, name: &str, limits: Limits) {
    // A plan holds no secret, so any key will do.
    let key = MasterKey::generate().expect("randomness");
    let dsn = Secret::new(stack.descriptor().catalog_dsn.clone());
    let catalog = Catalog::connect(&dsn, key, 1).await.expect("a good DSN");
    let context = Context { actor: "suite".into(), request_id: "plans".into() };
    let mut tx = catalog.begin(&context).await.expect("the catalog answers");
    let plan = PlanRecord { name: name.parse().expect("a plan's name"), limits };
    tx.plan_set(&plan).await.expect("a good plan");
    tx.commit().await.expect("the catalog answers");
}
