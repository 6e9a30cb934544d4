use super::*;
use proptest::prelude::*;

const WHOLE: u32 = 1_000_000;

fn bucket(per_second: u32, capacity: u32) -> Bucket {
    let bucket = Bucket::default();
    bucket.set(0, Flow::of(per_second, WHOLE, WHOLE, capacity));
    bucket
}

#[test]
fn a_full_bucket_gives_what_it_holds_and_then_as_fast_as_it_fills() {
    let bucket = bucket(10, 3);
    let taken = (0..10).filter(|_| bucket.take(0).is_ok()).count();
    assert_eq!((taken, bucket.remaining(0)), (3, 0));
    assert_eq!(bucket.take(0), Err(SECOND / 10), "when the next is there");
    assert_eq!(bucket.take(SECOND / 10), Ok(()));
    assert_eq!(bucket.take(SECOND / 10), Err(SECOND / 10));
    assert_eq!(bucket.remaining(10 * SECOND), 3, "it does not hold more");
}

#[test]
fn whoever_waits_is_due_after_those_who_came_before() {
    let bucket = bucket(10, 1);
    assert_eq!(bucket.reserve(0, SECOND), Ok(0));
    assert_eq!(bucket.reserve(0, SECOND / 5), Ok(SECOND / 10));
    assert_eq!(bucket.reserve(0, SECOND / 5), Ok(SECOND / 5));
    assert_eq!(bucket.reserve(0, SECOND / 5), Err(SECOND * 3 / 10), "and takes nothing");
    bucket.give_back();
    assert_eq!(bucket.reserve(0, SECOND / 5), Ok(SECOND / 5), "somebody has left");
}

#[test]
fn what_could_not_be_refused_is_owed() {
    let bucket = bucket(10, 2);
    for _ in 0..7 {
        assert_eq!(bucket.owe(0), Ok(()));
    }
    assert_eq!(bucket.take(0), Err(SECOND * 6 / 10));
    assert_eq!(bucket.take(SECOND * 6 / 10), Ok(()));
}

#[test]
fn what_is_owed_is_bounded_and_another_plan_does_not_make_it_more() {
    let bucket = bucket(10, 2);
    let owed = (0..1_000_000).take_while(|_| bucket.owe(0).is_ok()).count();
    assert_eq!(owed, 2 + 100, "what it held, and ten seconds'");
    assert_eq!(bucket.owe(0), Err(SECOND / 10), "when there is room for one more");
    assert_eq!(bucket.owe(SECOND / 10), Ok(()));
    bucket.set(SECOND / 10, Flow::of(1, WHOLE, WHOLE, 2));
    assert_eq!(bucket.take(SECOND / 10), Err(11 * SECOND), "ten seconds' again, and the one");
    let slow = Flow::of(1, WHOLE / 100, WHOLE, 1);
    bucket.set(SECOND / 10, slow);
    bucket.set(SECOND / 10, Flow::of(1_000, WHOLE, WHOLE, 1));
    assert!(bucket.take(SECOND / 10).is_err_and(|wait| wait <= 11 * SECOND));
}

#[test]
fn those_who_wait_are_not_forgotten_when_it_fills_more_slowly() {
    let bucket = bucket(100, 1);
    for _ in 0..51 {
        assert!(bucket.reserve(0, SECOND).is_ok());
    }
    bucket.set(0, Flow::of(1, WHOLE, WHOLE, 1));
    for _ in 0..26 {
        bucket.give_back();
    }
    assert_eq!(bucket.take(0), Err(25 * SECOND), "behind those who still wait");
}

#[test]
fn a_large_bucket_is_full_after_nothing_has_flowed_in() {
    let bucket = bucket(1_000_000, 10_000_000);
    bucket.set(0, Flow::of(1_000_000, 0, WHOLE, 10_000_000));
    assert_eq!(bucket.remaining(0), 10_000_000);
    bucket.set(0, Flow::of(1_000_000, WHOLE, WHOLE, 10_000_000));
    assert_eq!(bucket.remaining(0), 10_000_000);
}

/// Whoever takes while the flow changes takes one request, and none that is worth an hour.
#[test]
fn whoever_takes_while_the_flow_changes_takes_one_request() {
    const TAKEN: u32 = 20_000;
    const SETS: u64 = 50_000;
    let (still, fast) = (Flow::of(1_000, 0, WHOLE, 2 * TAKEN), Flow::of(1_000, WHOLE, WHOLE, 2 * TAKEN));
    let bucket = Bucket::default();
    bucket.set(0, fast);
    std::thread::scope(|scope| {
        // Each change at a time of its own, as on a clock. In all of them together not one request flows in.
        scope.spawn(|| (1..=SETS).for_each(|now| bucket.set(now, if now % 2 == 1 { still } else { fast })));
        for _ in 0..TAKEN {
            assert_eq!(bucket.take(SETS), Ok(()));
        }
    });
    // Each change rounds up.
    let remaining = bucket.remaining(SETS);
    assert!((TAKEN - 1..=TAKEN).contains(&remaining), "{remaining} are left of {TAKEN}");
}

#[test]
fn a_bucket_without_a_limit_is_never_empty_and_one_that_gets_a_limit_is_full() {
    let bucket = Bucket::default();
    assert!(!bucket.is_limited());
    for _ in 0..1_000 {
        assert_eq!((bucket.take(0), bucket.owe(0)), (Ok(()), Ok(())));
    }
    bucket.set(5, Flow::of(1, WHOLE, WHOLE, 4));
    assert!(bucket.is_limited());
    assert_eq!((0..10).filter(|_| bucket.take(5).is_ok()).count(), 4);
    bucket.set(6, Flow::UNLIMITED);
    assert_eq!(bucket.take(6), Ok(()));
}

#[test]
fn nothing_flows_in_by_a_share_of_nothing() {
    let bucket = Bucket::default();
    bucket.set(0, Flow::of(1_000_000, 0, WHOLE, 2));
    let minute = 60 * SECOND;
    let taken = (0..60).filter(|second| bucket.take(second * SECOND).is_ok()).count();
    assert_eq!(taken, 2);
    bucket.set(minute, Flow::of(10, WHOLE, WHOLE, 2));
    assert!(bucket.take(minute).is_err_and(|wait| wait > SECOND * 9 / 100), "it was empty, and is");
}

/// What happens to a bucket, and after how long.
#[derive(Debug, Clone)]
enum Event {
    Take,
    Reserve(u64),
    Owe,
    Set(u32, u32, u32),
}

fn event() -> impl Strategy<Value = (u64, Event)> {
    let what = prop_oneof![
        12 => Just(Event::Take),
        2 => (0..SECOND).prop_map(Event::Reserve),
        1 => Just(Event::Owe),
        1 => (1..200_u32, 0..=WHOLE, 1..50_u32).prop_map(|(rate, share, capacity)| Event::Set(rate, share, capacity)),
    ];
    (prop_oneof![2 => Just(0), 4 => 0..SECOND / 10, 1 => 0..10 * SECOND], what)
}

/// The same in requests, as anybody would write it down: what is in it may be less than nothing.
struct Written {
    inside: f64,
    per_second: f64,
    capacity: f64,
    reserved: f64,
}

impl Written {
    /// More is forgiven when the flow changes.
    fn forgive(&mut self) {
        let owed_max = (10.0 * self.per_second).max(1.0);
        self.inside = self.inside.max(-owed_max - self.reserved);
    }

    fn pass(&mut self, nanoseconds: u64) {
        let seconds = std::time::Duration::from_nanos(nanoseconds).as_secs_f64();
        self.inside = (self.inside + self.per_second * seconds).min(self.capacity);
    }
}

/// Nanoseconds are rounded up, so that the bucket never gives more, and not much less.
const ROUNDED: f64 = 0.01;

proptest! {
    #[test]
    fn it_does_what_a_bucket_of_requests_does(events in proptest::collection::vec(event(), 1..300)) {
        let (bucket, mut now) = (bucket(20, 10), 0);
        let mut written = Written { inside: 10.0, per_second: 20.0, capacity: 10.0, reserved: 0.0 };
        for (after, event) in events {
            now += after;
            written.pass(after);
            match event {
                Event::Take => match bucket.take(now) {
                    Ok(()) => {
                        written.inside -= 1.0;
                        prop_assert!(written.inside >= -ROUNDED, "one too many: {}", written.inside);
                    }
                    Err(_wait) => prop_assert!(written.inside < 1.0 + ROUNDED, "kept back: {}", written.inside),
                },
                Event::Reserve(most) => if bucket.reserve(now, most).is_ok() {
                    written.inside -= 1.0;
                    written.reserved += 1.0;
                },
                Event::Owe => if bucket.owe(now).is_ok() {
                    written.inside -= 1.0;
                },
                Event::Set(rate, share, capacity) => {
                    bucket.set(now, Flow::of(rate, share, WHOLE, capacity));
                    // Nothing at all is one in an hour.
                    written.per_second = (f64::from(rate) * f64::from(share) / f64::from(WHOLE)).max(1.0 / 3_600.0);
                    written.capacity = f64::from(capacity);
                    written.pass(0);
                    written.forgive();
                }
            }
        }
    }
}
