//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

/// What a loaded machine may need at worst. A test that waits this long has failed.
pub const DEADLINE: Duration = Duration::from_secs(60);

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Asks again and again until the answer is there.
///
/// # Panics
/// When the deadline passes first; says what was waited for.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        let left = DEADLINE.saturating_sub(started.elapsed());
        match tokio::time::timeout(left, ask()).await {
            Ok(Some(answer)) => return answer,
            Ok(None) if started.elapsed() < DEADLINE => tokio::time::sleep(POLL_INTERVAL).await,
            Ok(None) | Err(_) => panic!("waited {} s in vain until {what}", DEADLINE.as_secs()),
        }
    }
}

/// Waits until the condition holds.
///
/// # Panics
/// When the deadline passes first; says what was waited for.
pub async fn wait_until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    eventually(what, async || holds().await.then_some(())).await;
}
