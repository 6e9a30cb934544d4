//! The allocator against pools that behave as real ones do, on a simulated clock.

mod behaviour;
mod demand;
mod keepers;
mod properties;
mod siblings;
mod world;

use super::Terms;

/// Terms without a floor, for a pool of up to so many connections.
fn terms(weight: u32, cap: u32) -> Terms {
    Terms { floor: 0, weight, cap }
}
