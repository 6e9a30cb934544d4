//! Who is connected: every logged-in client of the PostgreSQL listener, for operators.
//!
//! A client is entered when its session begins and leaves with it. While it works it only stores numbers
//! into its own entry; nobody's lock is taken and nothing is allocated. An operator can end it: it is woken,
//! and leaves at the next point at which it can be told why.

mod end;
mod mortal;

pub use end::End;
pub use mortal::Mortal;

use crate::authenticate::CredentialRef;
use crate::metrics::Counter;
use crate::moments::Moments;
use crate::pool::servers::Server;
use crate::resolve::Tenant;
use dashmap::DashMap;
use jiff::Timestamp;
use net::ClientAddress;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};
use tenancy::{Access, PoolMode};

/// The clients of this gateway, by their numbers.
pub struct Clients {
    entries: DashMap<u64, Arc<Client>>,
    ends: Moments<u64>,
    /// Clients ended because their credential was withdrawn.
    pub withdrawn: Counter,
    /// Clients ended because their tenant's allow list has their address no more.
    pub shut_out: Counter,
    next: AtomicU64,
    started: Instant,
}

/// What a client is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Nothing.
    Idle,
    /// It waits for a server connection.
    Waiting,
    /// It has one.
    Active,
}

/// What is known of a client when it logs in.
pub struct Introduction {
    /// Its tenant.
    pub tenant: Arc<Tenant>,
    /// Who it has proved to be: its credential says so, and not the name that it came under.
    pub subject: Arc<str>,
    /// The `application_name` that it began with.
    pub application: Box<str>,
    /// Where it comes from.
    pub peer: ClientAddress,
    /// Our end of its connection.
    pub local: Option<SocketAddr>,
    /// Its connection is encrypted.
    pub is_encrypted: bool,
    /// How long it keeps a server connection.
    pub pool_mode: PoolMode,
    /// What it may do there.
    pub access: Access,
    /// What it came in by.
    pub credential: CredentialRef,
}

/// One client.
pub struct Client {
    /// Its number, never used twice.
    pub id: u64,
    /// What it said when it came.
    pub about: Introduction,
    /// When it came.
    pub connected: Timestamp,
    clock: Instant,
    doing: AtomicU8,
    /// Microseconds after `clock` at which it last began to want a server.
    since_us: AtomicU64,
    /// The number of its server connection; 0 for none.
    server: AtomicU64,
    /// The code of its [`End`]; 0 while nobody has ended it.
    ended: AtomicU8,
    waker: Mutex<Option<Waker>>,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            entries: DashMap::new(),
            ends: Moments::default(),
            withdrawn: Counter::default(),
            shut_out: Counter::default(),
            next: AtomicU64::new(1),
            started: Instant::now(),
        }
    }
}

impl Clients {
    /// Enters a client. It leaves when the guard is dropped.
    pub fn enter(self: &Arc<Self>, about: Introduction) -> ClientGuard {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let client = Arc::new(Client {
            id,
            about,
            connected: Timestamp::now(),
            clock: self.started,
            doing: AtomicU8::new(Doing::Idle.code()),
            since_us: AtomicU64::new(micros(self.started)),
            server: AtomicU64::new(0),
            ended: AtomicU8::new(0),
            waker: Mutex::new(None),
        });
        self.entries.insert(id, Arc::clone(&client));
        self.ends.came(client.about.credential.ends_at().map(|at| (at, id)));
        ClientGuard { clients: Arc::clone(self), client }
    }

    /// Every client now, in order of arrival. Takes eight bytes each.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Client>> {
        let mut all: Vec<_> = self.entries.iter().map(|entry| Arc::clone(entry.value())).collect();
        all.sort_unstable_by_key(|client| client.id);
        all
    }

    /// Ends every client.
    pub fn end_all(&self) {
        for entry in &self.entries {
            entry.kill(End::Ordered);
        }
    }

    /// Ends every client whose credential opens its tenant no more, as `is_good` has it.
    pub fn end_withdrawn(&self, is_good: impl Fn(&Introduction) -> bool) {
        for entry in &self.entries {
            if !is_good(&entry.about) {
                self.withdraw(&entry);
            }
        }
    }

    /// Ends every client whose tenant may be reached from its address no more, as `is_allowed` has it.
    pub fn end_shut_out(&self, is_allowed: impl Fn(&Introduction) -> bool) {
        for entry in &self.entries {
            if !entry.is_killed() && !is_allowed(&entry.about) {
                self.shut_out.inc();
                entry.kill(End::ShutOut);
            }
        }
    }

    /// Ends every client that is one of those.
    pub fn end_those(&self, why: End, is_one: impl Fn(&Client) -> bool) {
        for entry in &self.entries {
            if !entry.is_killed() && is_one(&entry) {
                entry.kill(why);
            }
        }
    }

    /// Resolves when there is something to do for [`Self::end_over`]. For one who waits.
    pub async fn next_end(&self) {
        self.ends.wait().await;
    }

    /// Ends every client whose credential said from the beginning that it is over by `now`.
    pub fn end_over(&self, now: Timestamp) {
        for client in self.ends.due::<Vec<_>>(now).into_iter().filter_map(|id| self.find(id)) {
            self.withdraw(&client);
        }
    }

    /// Ends a client whose credential opens its tenant no more.
    pub fn withdraw(&self, client: &Client) {
        if !client.is_killed() {
            self.withdrawn.inc();
            client.kill(End::Withdrawn);
        }
    }

    /// The client with this number, if it is still there.
    #[must_use]
    pub fn find(&self, id: u64) -> Option<Arc<Client>> {
        self.entries.get(&id).map(|entry| Arc::clone(entry.value()))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Is nobody there?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Client {
    /// It has this server connection, which it has just taken.
    pub fn active(&self, server: &Server) {
        self.server.store(server.id, Ordering::Relaxed);
        if self.doing() != Doing::Waiting {
            // No look at the clock of its own: this happens for every transaction.
            let since = server.taken_at().saturating_duration_since(self.clock);
            self.since_us.store(whole_micros(since), Ordering::Relaxed);
        }
        self.doing.store(Doing::Active.code(), Ordering::Relaxed);
    }

    /// It waits for one from now on.
    pub fn waiting(&self) {
        if self.doing() != Doing::Waiting {
            self.since_us.store(micros(self.clock), Ordering::Relaxed);
            self.doing.store(Doing::Waiting.code(), Ordering::Relaxed);
        }
    }

    /// It neither has one nor wants one.
    pub fn idle(&self) {
        self.server.store(0, Ordering::Relaxed);
        self.doing.store(Doing::Idle.code(), Ordering::Relaxed);
    }

    /// What it is doing.
    #[must_use]
    pub fn doing(&self) -> Doing {
        match self.doing.load(Ordering::Relaxed) {
            1 => Doing::Waiting,
            2 => Doing::Active,
            _ => Doing::Idle,
        }
    }

    /// The number of its server connection, if it has one.
    #[must_use]
    pub fn server(&self) -> Option<u64> {
        Some(self.server.load(Ordering::Relaxed)).filter(|id| *id != 0)
    }

    /// How long ago it last began to want a server connection.
    #[must_use]
    pub fn since(&self) -> Duration {
        let since = Duration::from_micros(self.since_us.load(Ordering::Relaxed));
        self.clock.elapsed().saturating_sub(since)
    }

    /// Ends it. It notices at once, wherever it waits.
    pub fn kill(&self, why: End) {
        self.ended.store(why.code(), Ordering::SeqCst);
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Has somebody ended it?
    #[must_use]
    pub fn is_killed(&self) -> bool {
        self.end().is_some()
    }

    /// Why somebody has ended it.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        End::of(self.ended.load(Ordering::SeqCst))
    }

    /// Resolves with the reason when it is ended. Only for its own session: [`Mortal`] wakes that.
    pub async fn until_killed(&self) -> End {
        poll_fn(|_| self.end().map_or(Poll::Pending, Poll::Ready)).await
    }

    /// Whom to wake when it is ended.
    fn wake_with(&self, waker: Waker) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker);
    }
}

impl Doing {
    const fn code(self) -> u8 {
        match self {
            Self::Idle => 0,
            Self::Waiting => 1,
            Self::Active => 2,
        }
    }

    /// PgBouncer's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Waiting => "waiting",
            Self::Active => "active",
        }
    }
}

fn micros(since: Instant) -> u64 {
    whole_micros(since.elapsed())
}

fn whole_micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A client's place among the clients.
pub struct ClientGuard {
    clients: Arc<Clients>,
    client: Arc<Client>,
}

impl ClientGuard {
    /// Its entry.
    #[must_use]
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }
}

impl Drop for ClientGuard {
    fn drop(&mut self) {
        let Client { id, about, .. } = &*self.client;
        self.clients.entries.remove(id);
        self.clients.ends.went(about.credential.ends_at().map(|at| (at, *id)));
        // Whoever still looks at the entry does not keep the session's task alive.
        self.client.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

#[cfg(test)]
mod tests;
