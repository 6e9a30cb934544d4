//! Which window an instant is in.

use crate::plan::Plan;
use std::time::Duration;

/// The ends of all windows, counted from the beginning of the first.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    ends: Vec<Duration>,
}

impl Schedule {
    pub(crate) fn new(plan: &Plan) -> Self {
        let ends = plan.windows.iter().scan(Duration::ZERO, |end, window| {
            *end += Duration::from_millis(window.ms);
            Some(*end)
        });
        Self { ends: ends.collect() }
    }

    /// How long all are together.
    pub(crate) fn length(&self) -> Duration {
        self.ends.last().copied().unwrap_or_default()
    }

    /// When a window begins.
    pub(crate) fn offset(&self, window: usize) -> Duration {
        window.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default()
    }

    /// The window of an instant, counted from the beginning; none after the last.
    pub(crate) fn window(&self, since_begin: Duration) -> Option<usize> {
        let window = self.ends.partition_point(|end| *end <= since_begin);
        (window < self.ends.len()).then_some(window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Window;

    #[test]
    fn windows_follow_each_other_without_a_gap() {
        let ms = Duration::from_millis;
        let windows =
            vec![Window::warm_up(ms(100)), Window::counted("a", ms(200)), Window::counted("b", ms(50))];
        let plan = Plan { seed: 0, threads: 1, windows, drain_ms: 0, streams: Vec::new() };
        let schedule = Schedule::new(&plan);
        let window = |at| schedule.window(ms(at));
        assert_eq!([window(0), window(99), window(100), window(299)], [Some(0), Some(0), Some(1), Some(1)]);
        assert_eq!([window(300), window(349), window(350)], [Some(2), Some(2), None]);
        assert_eq!((schedule.offset(2), schedule.length()), (ms(300), ms(350)));
    }
}
