//! Which server connections there are, for operators.
//!
//! A connection is entered when its pool takes it over and leaves when it is dropped. While it is used only
//! numbers in its own entry change.

use crate::metrics::TenantUsage;
use crate::relay::pin::PinReason;
use dashmap::DashMap;
use jiff::Timestamp;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tenancy::{DatabaseName, RoleName};

/// Connections are numbered over all clusters, so that a number means one connection.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// The open connections to one cluster. Its budget bounds them.
#[derive(Debug, Default)]
pub struct Servers {
    entries: DashMap<u64, Arc<Server>>,
}

/// What a connection is for.
#[derive(Debug)]
pub struct Purpose {
    /// What its tenant uses, which also tells whose it is.
    pub usage: Arc<TenantUsage>,
    /// What its times count from.
    pub clock: Instant,
    /// The database.
    pub database: DatabaseName,
    /// The role.
    pub role: RoleName,
    /// Where the server is.
    pub address: SocketAddr,
    /// Our end of the connection.
    pub local: Option<SocketAddr>,
    /// The process that serves it there.
    pub process_id: i32,
    /// It is encrypted.
    pub is_encrypted: bool,
}

/// One server connection.
#[derive(Debug)]
pub struct Server {
    /// Its number, never used twice.
    pub id: u64,
    /// What it is for.
    pub purpose: Purpose,
    /// When it was taken over.
    pub connected: Timestamp,
    opened: Instant,
    is_leased: AtomicBool,
    /// Microseconds after its clock at which it was last taken.
    since_us: AtomicU64,
    /// The number of the client that uses it; 0 for none, or for a request over HTTP.
    client: AtomicU64,
    /// Which of [`PinReason::ALL`], counted from 1; 0 for none.
    pinned: AtomicU8,
    close_needed: AtomicBool,
}

impl Servers {
    /// Enters a connection. It leaves when the guard is dropped.
    pub fn enter(self: &Arc<Self>, purpose: Purpose) -> ServerGuard {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let since_us = micros(purpose.clock.elapsed());
        let server = Arc::new(Server {
            id,
            purpose,
            connected: Timestamp::now(),
            opened: Instant::now(),
            is_leased: AtomicBool::new(false),
            since_us: AtomicU64::new(since_us),
            client: AtomicU64::new(0),
            pinned: AtomicU8::new(0),
            close_needed: AtomicBool::new(false),
        });
        self.entries.insert(id, Arc::clone(&server));
        ServerGuard { servers: Arc::clone(self), server }
    }

    /// Every connection now, in the order in which they were opened.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Server>> {
        let mut all: Vec<_> = self.entries.iter().map(|entry| Arc::clone(entry.value())).collect();
        all.sort_unstable_by_key(|server| server.id);
        all
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Is there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Server {
    /// It was checked out, so long after its clock began.
    pub fn taken(&self, at: Duration) {
        self.is_leased.store(true, Ordering::Relaxed);
        self.since_us.store(micros(at), Ordering::Relaxed);
    }

    /// When it was last checked out.
    #[must_use]
    pub fn taken_at(&self) -> Instant {
        self.purpose.clock + Duration::from_micros(self.since_us.load(Ordering::Relaxed))
    }

    /// It was given back.
    pub fn given_back(&self) {
        self.is_leased.store(false, Ordering::Relaxed);
        self.client.store(0, Ordering::Relaxed);
        self.pinned.store(0, Ordering::Relaxed);
    }

    /// This client uses it.
    pub fn used_by(&self, client: u64) {
        self.client.store(client, Ordering::Relaxed);
    }

    /// Its client keeps it, or no longer.
    pub fn pinned(&self, reason: Option<PinReason>) {
        let index = reason.and_then(|reason| PinReason::ALL.iter().position(|other| *other == reason));
        let code = index.and_then(|index| u8::try_from(index + 1).ok()).unwrap_or(0);
        self.pinned.store(code, Ordering::Relaxed);
    }

    /// It is to be closed as soon as it is given back.
    pub fn need_close(&self) {
        self.close_needed.store(true, Ordering::Relaxed);
    }

    /// Is it to be closed?
    #[must_use]
    pub fn close_needed(&self) -> bool {
        self.close_needed.load(Ordering::Relaxed)
    }

    /// Is it checked out?
    #[must_use]
    pub fn is_leased(&self) -> bool {
        self.is_leased.load(Ordering::Relaxed)
    }

    /// The number of the client that uses it.
    #[must_use]
    pub fn client(&self) -> Option<u64> {
        Some(self.client.load(Ordering::Relaxed)).filter(|id| *id != 0)
    }

    /// Why its client keeps it.
    #[must_use]
    pub fn pin_reason(&self) -> Option<PinReason> {
        let index = usize::from(self.pinned.load(Ordering::Relaxed)).checked_sub(1)?;
        PinReason::ALL.get(index).copied()
    }

    /// How long ago it was last checked out; since it was opened if it never was.
    #[must_use]
    pub fn since(&self) -> Duration {
        self.taken_at().elapsed()
    }

    /// How long ago it was opened.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.opened.elapsed()
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A connection's place in the list.
#[derive(Debug)]
pub struct ServerGuard {
    servers: Arc<Servers>,
    server: Arc<Server>,
}

impl ServerGuard {
    /// Its entry.
    #[must_use]
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }
}

impl Drop for ServerGuard {
    fn drop(&mut self) {
        self.servers.entries.remove(&self.server.id);
    }
}
