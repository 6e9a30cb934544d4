//! How much processor time a thread could have used: what it had, and what it waited for.
//!
//! On a machine whose processors others use as well, a thread with far too much to do has little processor time to show
//! for it. What it waits for, ready to run, is what a second thread would relieve it of.

use nix::time::{ClockId, clock_gettime};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// The thread's processor time and the time that it waited for a processor, in nanoseconds, in text
/// (<https://docs.kernel.org/scheduler/sched-stats.html>). Some kernels have it not.
const SCHEDSTAT: &str = "/proc/thread-self/schedstat";

/// Three numbers of twenty digits fit.
const SCHEDSTAT_BYTES_MAX: usize = 64;

/// Of the thread that made it.
#[derive(Debug)]
pub(super) struct Demand(Option<File>);

impl Demand {
    /// The calling thread's.
    pub(super) fn of_this_thread() -> Self {
        Self(File::open(SCHEDSTAT).ok())
    }

    /// Since the thread began. Where the kernel does not tell how long it waited, the time that it had.
    pub(super) fn so_far(&self) -> Duration {
        self.had_and_waited_for().unwrap_or_else(processor_time)
    }

    fn had_and_waited_for(&self) -> Option<Duration> {
        let mut text = [0; SCHEDSTAT_BYTES_MAX];
        let length = self.0.as_ref()?.read_at(&mut text, 0).ok()?;
        parse(std::str::from_utf8(&text[..length]).ok()?)
    }
}

fn parse(schedstat: &str) -> Option<Duration> {
    let mut numbers = schedstat.split_ascii_whitespace().map(|number| number.parse().ok());
    let (had, waited_for): (u64, u64) = (numbers.next()??, numbers.next()??);
    // Whoever reads this has had some: the kernel keeps no count, and says nothing of it.
    (had > 0).then_some(())?;
    Some(Duration::from_nanos(had) + Duration::from_nanos(waited_for))
}

fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_had_and_what_was_waited_for_count() {
        assert_eq!(parse("261156959 2469666364 3628\n"), Some(Duration::from_nanos(2_730_823_323)));
        for no_schedstat in ["", "0", "a b c", "-1 2 3", "0 0 0"] {
            assert_eq!(parse(no_schedstat), None, "{no_schedstat}");
        }
    }

    #[test]
    fn without_the_kernels_word_the_time_counts_that_was_had() {
        let (demand, silent) = (Demand::of_this_thread(), Demand(None));
        let before = (demand.so_far(), silent.so_far());
        while silent.so_far() < before.1 + Duration::from_millis(2) {
            std::hint::spin_loop();
        }
        assert!(demand.so_far() > before.0);
    }
}
