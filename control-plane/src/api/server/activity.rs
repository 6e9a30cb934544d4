//! When something last happened on a connection. hyper limits the time for an HTTP/1 header, but not the wait for
//! the first byte, nor an HTTP/2 connection that answers pings and asks for nothing.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// One connection's.
pub(super) struct Activity {
    allowed: Duration,
    times: Mutex<Times>,
}

struct Times {
    running: u32,
    quiet_since: Instant,
}

impl Activity {
    /// A new connection, which may be quiet for `allowed`, before its first request too.
    pub(super) fn new(allowed: Duration) -> Self {
        Self { allowed, times: Mutex::new(Times { running: 0, quiet_since: Instant::now() }) }
    }

    /// When to look again.
    pub(super) fn deadline(&self, now: Instant) -> Instant {
        let times = self.times();
        if times.running > 0 { now + self.allowed } else { times.quiet_since + self.allowed }
    }

    /// Nothing has happened for as long as is allowed.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let times = self.times();
        times.running == 0 && now >= times.quiet_since + self.allowed
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request under way, until its answer has been handed over, also when it is dropped half way.
pub(super) struct Running(Arc<Activity>);

impl Running {
    pub(super) fn begin(activity: &Arc<Activity>) -> Self {
        activity.times().running += 1;
        Self(Arc::clone(activity))
    }

    /// Keeps the request under way until the last of the answer's body: a stream of progress takes as long as the
    /// operation does, and is not quiet meanwhile.
    pub(super) fn until_sent(self, answer: Response) -> Response {
        answer.map(|body| Body::new(Sending { body, _running: self }))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut times = self.0.times();
        times.running -= 1;
        times.quiet_since = Instant::now();
    }
}

/// An answer's body that counts as activity.
struct Sending {
    body: Body,
    _running: Running,
}

impl HttpBody for Sending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_over_when_it_was_quiet_for_long() {
        let (begun, allowed) = (Instant::now(), Duration::from_secs(60));
        let activity = Arc::new(Activity::new(allowed));
        assert!(!activity.is_over(begun) && activity.is_over(begun + 2 * allowed));
        let answer = Running::begin(&activity).until_sent(Response::new(Body::from("slow")));
        let later = begun + 10 * allowed;
        assert!(!activity.is_over(later) && activity.deadline(later) > later);
        drop(answer);
        assert!(activity.is_over(later));
    }
}
