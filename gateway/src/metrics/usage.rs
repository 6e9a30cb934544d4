//! Counters, as the code that counts sees them.

use super::anomalies::Anomalies;
use crate::cancel::CancelOutcome;
use crate::http::pour::StreamEnd;
use crate::relay::pin::PinReason;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;
use tenancy::ErrorKind;

/// Upper bounds of the buckets in which check-outs are counted, in microseconds. The first holds those
/// that found an idle connection, the last ends at the longest time-out of a seeded plan.
pub const WAIT_BOUNDS_US: [u64; 12] =
    [100, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000, 1_000_000, 5_000_000, 10_000_000, 30_000_000];

/// The buckets: one below each bound, one above the last.
pub const WAIT_BUCKETS: usize = WAIT_BOUNDS_US.len() + 1;

/// A number that only rises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn inc(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// The number now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one tenant has used since this process knows it.
#[derive(Debug)]
pub struct TenantUsage {
    label: RwLock<Box<str>>,
    /// Transactions that ended.
    pub transactions: Counter,
    /// Bytes relayed from clients to the server.
    pub bytes_to_server: Counter,
    /// Bytes relayed from the server to clients.
    pub bytes_to_client: Counter,
    /// Check-outs, successful or not.
    pub checkouts: Counter,
    /// Time that check-outs took, in microseconds.
    pub checkout_wait_us: Counter,
    /// Time that server connections were checked out, in microseconds.
    pub leased_us: Counter,
    /// Clients that have logged in on the PostgreSQL listener.
    pub logins: Counter,
    /// Idle connections closed to make room or because they were stale.
    pub evictions: Counter,
    /// Errors that the tenant's server answered.
    pub server_errors: Counter,
    /// Connections that were reset at the end of a client's session and serve others.
    pub session_resets: Counter,
    /// Connections discarded, or their sequences, because they went from one client to another.
    pub handover_resets: Counter,
    /// Settings set or reset on a connection for its next client.
    pub settings_replayed: Counter,
    /// Notifications that clients were told of.
    pub notifications: Counter,
    errors: [Counter; ErrorKind::ALL.len()],
    pins: [Counter; PinReason::ALL.len()],
    /// Kept a tenant, so that tenants do not share the cache line; the metrics add them up.
    waits: [Counter; WAIT_BUCKETS],
}

impl TenantUsage {
    /// Nothing used yet. `label` is the tenant's slug.
    #[must_use]
    pub fn new(label: &str) -> Self {
        Self {
            label: RwLock::new(label.into()),
            transactions: Counter::default(),
            bytes_to_server: Counter::default(),
            bytes_to_client: Counter::default(),
            checkouts: Counter::default(),
            checkout_wait_us: Counter::default(),
            leased_us: Counter::default(),
            logins: Counter::default(),
            evictions: Counter::default(),
            server_errors: Counter::default(),
            session_resets: Counter::default(),
            handover_resets: Counter::default(),
            settings_replayed: Counter::default(),
            notifications: Counter::default(),
            errors: std::array::from_fn(|_| Counter::default()),
            pins: std::array::from_fn(|_| Counter::default()),
            waits: std::array::from_fn(|_| Counter::default()),
        }
    }

    /// The tenant's slug now.
    #[must_use]
    pub fn label(&self) -> Box<str> {
        self.label.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The tenant was renamed.
    pub fn rename(&self, label: &str) {
        let mut current = self.label.write().unwrap_or_else(PoisonError::into_inner);
        if **current != *label {
            *current = label.into();
        }
    }

    /// A check-out took this long.
    pub fn checked_out(&self, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.checkouts.inc();
        self.checkout_wait_us.add(took_us);
        let bucket = WAIT_BOUNDS_US.iter().position(|bound| took_us <= *bound);
        self.waits[bucket.unwrap_or(WAIT_BOUNDS_US.len())].inc();
    }

    /// A client was refused.
    pub fn refused(&self, kind: ErrorKind) {
        if let Some(index) = ErrorKind::ALL.iter().position(|other| *other == kind) {
            self.errors[index].inc();
        }
    }

    /// A client keeps its connection.
    pub fn pinned(&self, reason: PinReason) {
        if let Some(index) = PinReason::ALL.iter().position(|other| *other == reason) {
            self.pins[index].inc();
        }
    }

    /// Refusals by kind.
    pub fn errors(&self) -> impl Iterator<Item = (ErrorKind, u64)> {
        ErrorKind::ALL.into_iter().zip(self.errors.iter().map(Counter::get))
    }

    /// Check-outs by how long they took: below each of [`WAIT_BOUNDS_US`], then above the last.
    pub fn waits(&self) -> impl Iterator<Item = u64> {
        self.waits.iter().map(Counter::get)
    }

    /// Pins by reason.
    pub fn pins(&self) -> impl Iterator<Item = (PinReason, u64)> {
        PinReason::ALL.into_iter().zip(self.pins.iter().map(Counter::get))
    }
}

/// What belongs to no tenant.
#[derive(Debug)]
pub struct GatewayUsage {
    /// Connections accepted on the PostgreSQL listener.
    pub pg_connections: Counter,
    /// Requests on the HTTP listener.
    pub http_requests: Counter,
    /// Results that are being streamed.
    pub http_streams_open: AtomicU32,
    http_stream_ends: [Counter; StreamEnd::ALL.len()],
    /// HTTP connections closed because their client did not read, or took back most of what it asked for.
    pub http_connections_cut: Counter,
    /// WebSockets opened.
    pub websockets: Counter,
    cancels: [Counter; CancelOutcome::ALL.len()],
    /// Server connections condemned because a reply was not the one due. Should stay zero.
    pub out_of_sync: Counter,
    /// Refusals before a tenant was known for sure.
    pub refusals: TenantUsage,
    /// Clients that named two different tenants.
    pub anomalies: Anomalies,
}

impl Default for GatewayUsage {
    fn default() -> Self {
        Self {
            pg_connections: Counter::default(),
            http_requests: Counter::default(),
            http_streams_open: AtomicU32::new(0),
            http_stream_ends: std::array::from_fn(|_| Counter::default()),
            http_connections_cut: Counter::default(),
            websockets: Counter::default(),
            cancels: std::array::from_fn(|_| Counter::default()),
            out_of_sync: Counter::default(),
            refusals: TenantUsage::new(""),
            anomalies: Anomalies::default(),
        }
    }
}

impl GatewayUsage {
    /// Something came of a cancel request.
    pub fn cancelled(&self, outcome: CancelOutcome) {
        if let Some(index) = CancelOutcome::ALL.iter().position(|other| *other == outcome) {
            self.cancels[index].inc();
        }
    }

    /// A result that was streamed has ended.
    pub fn stream_ended(&self, end: StreamEnd) {
        if let Some(index) = StreamEnd::ALL.iter().position(|other| *other == end) {
            self.http_stream_ends[index].inc();
        }
    }

    /// Streamed results by how they have ended.
    pub fn stream_ends(&self) -> impl Iterator<Item = (StreamEnd, u64)> {
        StreamEnd::ALL.into_iter().zip(self.http_stream_ends.iter().map(Counter::get))
    }

    /// Cancel requests by what came of them.
    pub fn cancels(&self) -> impl Iterator<Item = (CancelOutcome, u64)> {
        CancelOutcome::ALL.into_iter().zip(self.cancels.iter().map(Counter::get))
    }
}
