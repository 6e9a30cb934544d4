//! A connection to the HTTP listener as its requests see it: when something last happened on it, and whether it is to
//! end.
//!
//! hyper limits the time for an HTTP/1 header, but not the wait for the first byte, nor an HTTP/2 connection that answers
//! pings and asks for nothing. Nor does it mind a client that asks over and over and takes each request back ("rapid
//! reset", CVE-2023-44487): each may have cost a server connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a connection stays open with no request under way: longer than the minute that load balancers
/// commonly keep theirs, so that they close first and no request meets a closing connection. It is also the
/// time that a client has to take in the end of a response.
pub const IDLE_MAX: Duration = Duration::from_secs(75);

/// Requests that a client may take back on one connection while it has fewer statements answered. What costs nothing to ask
/// for makes up for none.
const ABANDONED_MAX: u32 = 100;

/// Results that a client may leave unread on one connection: what is ready of them stays in memory until the client takes
/// it, or loses the connection.
const STALLED_MAX: u32 = 1;

/// One connection.
pub struct Connection {
    times: Mutex<Times>,
    cut: CancellationToken,
}

struct Times {
    running: u32,
    quiet_since: Instant,
    allowed: Duration,
    ran: u32,
    abandoned: u32,
    stalled: u32,
}

impl Connection {
    /// A new connection; its first request has to come within `first`.
    #[must_use]
    pub fn new(first: Duration) -> Self {
        let times = Times {
            running: 0,
            quiet_since: Instant::now(),
            allowed: first,
            ran: 0,
            abandoned: 0,
            stalled: 0,
        };
        Self { times: Mutex::new(times), cut: CancellationToken::new() }
    }

    /// When to look again.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Instant {
        let times = self.times();
        if times.running > 0 { now + IDLE_MAX } else { times.quiet_since + times.allowed }
    }

    /// Nothing has happened for as long as is allowed.
    #[must_use]
    pub fn is_over(&self, now: Instant) -> bool {
        let times = self.times();
        times.running == 0 && now >= times.quiet_since + times.allowed
    }

    /// Resolves when the client has lost its connection.
    pub async fn cut(&self) {
        self.cut.cancelled().await;
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request under way, also when it is dropped half way: until its answer is there, or the last of it is written.
pub struct Visit {
    connection: Arc<Connection>,
    answered: AtomicBool,
    ran: AtomicBool,
}

impl Visit {
    /// A request has come.
    #[must_use]
    pub fn begin(connection: &Arc<Connection>) -> Self {
        connection.times().running += 1;
        Self {
            connection: Arc::clone(connection),
            answered: AtomicBool::new(false),
            ran: AtomicBool::new(false),
        }
    }

    /// It has its answer, or the beginning of it.
    pub fn answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// A statement has run for it.
    pub fn ran(&self) {
        self.ran.store(true, Ordering::Relaxed);
    }

    /// Its client has left before the end of the answer.
    pub fn abandoned(&self) {
        self.answered.store(false, Ordering::Relaxed);
    }

    /// Its client does not read the answer.
    pub fn stalled(&self) {
        let mut times = self.connection.times();
        times.stalled = times.stalled.saturating_add(1);
        if times.stalled > STALLED_MAX {
            self.cut();
        }
    }

    /// Takes its connection from the client.
    pub fn cut(&self) {
        self.connection.cut.cancel();
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut times = self.connection.times();
        times.running -= 1;
        times.quiet_since = Instant::now();
        times.allowed = IDLE_MAX;
        match (*self.answered.get_mut(), *self.ran.get_mut()) {
            (false, _) => times.abandoned = times.abandoned.saturating_add(1),
            (true, true) => times.ran = times.ran.saturating_add(1),
            (true, false) => {}
        }
        if times.abandoned > ABANDONED_MAX.max(times.ran) {
            self.connection.cut.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_request_has_less_time_than_the_next() {
        let (begun, first) = (Instant::now(), Duration::from_secs(1));
        let connection = Arc::new(Connection::new(first));
        assert!(!connection.is_over(begun));
        assert!(connection.is_over(begun + 2 * first));
        let visit = Visit::begin(&connection);
        let later = begun + 10 * IDLE_MAX;
        assert!(!connection.is_over(later) && connection.deadline(later) > later);
        drop(visit);
        assert!(!connection.is_over(begun + 2 * first));
        assert!(connection.is_over(begun + 2 * IDLE_MAX));
    }

    #[test]
    fn who_takes_back_more_than_is_answered_loses_the_connection() {
        let connection = Arc::new(Connection::new(IDLE_MAX));
        let taken_back = || drop(Visit::begin(&connection));
        let answered = |has_run| {
            let visit = Visit::begin(&connection);
            if has_run {
                visit.ran();
            }
            visit.answered();
        };
        for _ in 0..ABANDONED_MAX {
            taken_back();
        }
        assert!(!connection.cut.is_cancelled());
        for _ in 0..=ABANDONED_MAX {
            answered(true);
            answered(false);
        }
        taken_back();
        assert!(!connection.cut.is_cancelled(), "now and then anybody gives up");
        taken_back();
        assert!(connection.cut.is_cancelled(), "what nothing ran for makes up for nothing");
    }

    #[test]
    fn who_leaves_a_second_result_unread_loses_the_connection() {
        let connection = Arc::new(Connection::new(IDLE_MAX));
        for stalls in 1..=2 {
            Visit::begin(&connection).stalled();
            assert_eq!(connection.cut.is_cancelled(), stalls > STALLED_MAX, "{stalls}");
        }
    }
}
