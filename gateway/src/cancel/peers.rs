//! The installation's gateways, by the numbers that stand in cancel keys.
//!
//! Known from the catalog, and kept while it is away: a cancel needs no catalog.

use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

/// Where each gateway can be reached, and which one this is.
#[derive(Debug, Default)]
pub struct Peers {
    own: AtomicU16,
    addresses: ArcSwap<HashMap<u16, String>>,
}

impl Peers {
    /// This gateway's number; 0 before the catalog has given one.
    #[must_use]
    pub fn own(&self) -> u16 {
        self.own.load(Ordering::Acquire)
    }

    /// The catalog has given this gateway a number.
    pub fn numbered(&self, own: u16) {
        self.own.store(own, Ordering::Release);
    }

    /// These are alive.
    pub fn alive(&self, addresses: Vec<(u16, String)>) {
        self.addresses.store(Arc::new(addresses.into_iter().collect()));
    }

    /// Where the gateway with this number is, if it is alive.
    #[must_use]
    pub fn address_of(&self, number: u16) -> Option<String> {
        self.addresses.load().get(&number).cloned()
    }
}
