//! A timer that is right to some microseconds. The runtime's own counts in milliseconds, longer than most answers take.

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Instant;
use tokio::io::unix::AsyncFd;

/// Below this it has come: the kernel's timers have a slack of about as much.
const NOTHING: std::time::Duration = std::time::Duration::from_nanos(1);

struct Fd(TimerFd);

impl AsRawFd for Fd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// One of these for each stream.
pub(crate) struct Timer {
    fd: AsyncFd<Fd>,
}

#[expect(
    deprecated,
    reason = "its successor is unsafe, because a type may give another descriptor each time; ours gives the one it owns"
)]
fn register(fd: Fd) -> io::Result<AsyncFd<Fd>> {
    AsyncFd::new(fd)
}

impl Timer {
    pub(crate) fn new() -> io::Result<Self> {
        let timer =
            TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        Ok(Self { fd: register(Fd(timer))? })
    }

    /// Waits until then. Returns at once when it is past.
    pub(crate) async fn until(&mut self, at: Instant) -> io::Result<()> {
        loop {
            let left = at.saturating_duration_since(Instant::now());
            if left < NOTHING {
                return Ok(());
            }
            let expiration = Expiration::OneShot(TimeSpec::from_duration(left));
            self.fd.get_ref().0.set(expiration, TimerSetTimeFlags::empty())?;
            let mut guard = self.fd.readable().await?;
            // It is read so that it is not readable any more; an interrupted read is tried again by the loop.
            let _ = guard.get_inner().0.wait();
            guard.clear_ready();
        }
    }
}
