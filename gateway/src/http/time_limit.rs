//! How long each statement of a request may run, by its tenant's plan and whatever the statements set.
//!
//! The server has the same limit for each statement and answers first, in its own words, unless the session has lifted it.

use crate::error::Refusal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tenancy::{ErrorKind, Limits};
use tokio::time::{Instant, sleep_until};

/// What the server has to answer first.
const GRACE: Duration = Duration::from_millis(500);

/// When the statement that runs has to have ended. Clones are the same limit: one says when statements end, another
/// waits for the one that does not.
#[derive(Debug, Clone)]
pub struct TimeLimit(Option<Arc<Term>>);

#[derive(Debug)]
struct Term {
    most: Duration,
    until: Mutex<Instant>,
}

impl TimeLimit {
    /// The first statement begins now.
    #[must_use]
    pub fn begins(limits: &Limits) -> Self {
        let most_ms = limits.statement_timeout_ms;
        Self((most_ms > 0).then(|| {
            let most = Duration::from_millis(most_ms.into()) + GRACE;
            Arc::new(Term { most, until: Mutex::new(Instant::now() + most) })
        }))
    }

    /// A statement has ended: the next has all of its time.
    pub fn statement_ended(&self) {
        if let Some(term) = &self.0 {
            *term.until() = Instant::now() + term.most;
        }
    }

    /// Resolves when it is reached; never if there is none.
    pub async fn over(&self) -> Refusal {
        let Some(term) = &self.0 else { return std::future::pending().await };
        loop {
            let until = *term.until();
            if until <= Instant::now() {
                break;
            }
            sleep_until(until).await;
        }
        Refusal::new(ErrorKind::QueryTimeout, "canceling statement due to statement timeout")
            .hint("the plan's statement_timeout_ms")
    }
}

impl Term {
    fn until(&self) -> MutexGuard<'_, Instant> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(statement_timeout_ms: u32) -> TimeLimit {
        TimeLimit::begins(&Limits { statement_timeout_ms, ..Limits::STANDARD })
    }

    #[tokio::test(start_paused = true)]
    async fn each_statement_has_its_time_and_none_that_of_those_before() {
        let (limit, started) = (limit(1_000), Instant::now());
        for _ in 0..100 {
            limit.statement_ended();
        }
        let waits = limit.clone();
        let over = tokio::spawn(async move { waits.over().await.kind() });
        tokio::time::sleep(Duration::from_secs(1)).await;
        limit.statement_ended();
        assert_eq!(over.await.expect("it ends"), ErrorKind::QueryTimeout);
        assert_eq!(started.elapsed().as_millis(), 2_500, "one and a half after the last has ended");
    }

    #[tokio::test(start_paused = true)]
    async fn a_plan_without_a_limit_has_none() {
        let limit = limit(0);
        limit.statement_ended();
        assert!(tokio::time::timeout(Duration::from_secs(1_000_000), limit.over()).await.is_err());
    }
}
