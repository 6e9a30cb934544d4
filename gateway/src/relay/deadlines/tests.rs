use super::*;
use config::TimeoutsConfig;
use std::future::poll_fn;

const LIMIT: Duration = Duration::from_millis(50);

fn limits() -> TimeoutsConfig {
    TimeoutsConfig { query_ms: 50, idle_in_transaction_ms: 50, pinned_idle_ms: 0, ..Default::default() }
}

/// Waits as a session does to which nothing happens, and says how long.
async fn reached(deadlines: &mut Deadlines, limits: &TimeoutsConfig, doing: Doing) -> (Limit, Duration) {
    let began = Instant::now();
    let limit = poll_fn(|cx| deadlines.poll(cx, limits, doing)).await;
    (limit, began.elapsed())
}

/// Looks once, as a session that was woken does.
async fn look(
    deadlines: &mut Deadlines,
    limits: &TimeoutsConfig,
    moment: impl Into<Moment>,
) -> Option<Limit> {
    let moment = moment.into();
    poll_fn(|cx| match deadlines.poll(cx, limits, moment) {
        Poll::Ready(limit) => Poll::Ready(Some(limit)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

#[tokio::test]
async fn a_limit_is_reached_when_its_time_is_over_and_not_before() {
    let (limit, took) = reached(&mut Deadlines::default(), &limits(), Doing::Working).await;
    assert_eq!(limit, Limit::Query);
    assert!(took >= LIMIT, "{took:?}");
}

#[tokio::test]
async fn the_next_request_has_all_of_its_time() {
    let (limits, mut deadlines) = (limits(), Deadlines::default());
    assert_eq!(reached(&mut deadlines, &limits, Doing::Working).await.0, Limit::Query);
    let next = Moment { request_ended: true, ..Doing::Working.into() };
    assert_eq!(look(&mut deadlines, &limits, next).await, None);
    let (limit, took) = reached(&mut deadlines, &limits, Doing::Working).await;
    assert_eq!(limit, Limit::Query);
    assert!(took >= LIMIT - Duration::from_millis(10), "{took:?}");
}

#[tokio::test]
async fn a_timer_that_was_set_for_something_else_is_set_again_for_the_rest() {
    let (limits, mut deadlines) = (limits(), Deadlines::default());
    assert_eq!(look(&mut deadlines, &limits, Doing::Working).await, None);
    tokio::time::sleep(LIMIT / 2).await;
    let (limit, took) = reached(&mut deadlines, &limits, Doing::IdleInTransaction).await;
    assert_eq!(limit, Limit::IdleInTransaction);
    assert!(took >= LIMIT, "{took:?}");
}

#[tokio::test]
async fn a_transaction_is_timed_over_all_its_requests() {
    let limits = TimeoutsConfig { transaction_ms: 50, ..TimeoutsConfig::default() };
    let mut deadlines = Deadlines::default();
    for doing in [Doing::Working, Doing::IdleInTransaction, Doing::Working] {
        let moment = Moment { request_ended: true, ..doing.into() };
        assert_eq!(look(&mut deadlines, &limits, moment).await, None);
    }
    tokio::time::sleep(LIMIT).await;
    assert_eq!(reached(&mut deadlines, &limits, Doing::IdleInTransaction).await.0, Limit::Transaction);
    let next = Moment { transaction_ended: true, ..Doing::Working.into() };
    assert_eq!(look(&mut deadlines, &limits, next).await, None);
}

#[tokio::test]
async fn who_waits_without_a_limit_holds_no_timer() {
    let (limits, mut deadlines) = (limits(), Deadlines::default());
    assert_eq!(look(&mut deadlines, &limits, Doing::Idle).await, None);
    assert!(deadlines.timer.is_none(), "no timer before one is needed");
    assert_eq!(look(&mut deadlines, &limits, Doing::Working).await, None);
    assert!(deadlines.timer.is_some());
    tokio::time::sleep(LIMIT * 2).await;
    assert_eq!(look(&mut deadlines, &limits, Doing::Idle).await, None);
    assert!(deadlines.timer.is_none(), "one that fired for nothing is given up");
}

#[tokio::test]
async fn without_limits_the_clock_is_not_read() {
    let limits = TimeoutsConfig { pinned_idle_ms: 0, ..TimeoutsConfig::default() };
    let mut deadlines = Deadlines::default();
    for doing in [Doing::Idle, Doing::Working, Doing::IdleInTransaction, Doing::PinnedIdle] {
        assert_eq!(look(&mut deadlines, &limits, doing).await, None);
        assert_eq!((deadlines.since, deadlines.transaction_since), (None, None));
    }
}

#[tokio::test]
async fn a_tenants_limit_is_on_each_statement_and_not_on_the_request() {
    let (gateway, mut deadlines) = (TimeoutsConfig::default(), Deadlines::default());
    let limits = TimeLimits { statement: Some(LIMIT), ..TimeLimits::from(&gateway) };
    let look = async |deadlines: &mut Deadlines, statement_ended| {
        let moment = Moment { statement_ended, ..Doing::Working.into() };
        poll_fn(|cx| match deadlines.poll(cx, limits, moment) {
            Poll::Ready(limit) => Poll::Ready(Some(limit)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    };
    assert_eq!(look(&mut deadlines, false).await, None);
    tokio::time::sleep(LIMIT).await;
    assert_eq!(look(&mut deadlines, true).await, None, "the next statement has all of its time");
    let limit = poll_fn(|cx| deadlines.poll(cx, limits, Doing::Working)).await;
    assert_eq!(limit, Limit::Statement);
}

#[tokio::test]
async fn of_two_limits_on_an_idle_transaction_the_shorter_holds() {
    let gateway = limits();
    for (tenant, holds) in
        [(LIMIT / 2, Limit::TenantIdleInTransaction), (LIMIT * 2, Limit::IdleInTransaction)]
    {
        let limits = TimeLimits { idle_in_transaction: Some(tenant), ..TimeLimits::from(&gateway) };
        let mut deadlines = Deadlines::default();
        let limit = poll_fn(|cx| deadlines.poll(cx, limits, Doing::IdleInTransaction)).await;
        assert_eq!(limit, holds);
    }
}
