use super::*;
use proptest::prelude::*;

const SETTINGS: Settings = Settings {
    patience: Duration::from_secs(10),
    trying: Pauses { first: Duration::from_millis(50), longest: Duration::from_millis(500) },
    open: Pauses { first: Duration::from_millis(500), longest: Duration::from_secs(5) },
};

/// What may happen to a breaker.
#[derive(Debug, Clone)]
enum Event {
    Try,
    /// The ticket given out longest ago.
    Succeed,
    Fail(Prognosis, u32),
    GiveUp,
    Renew,
    Wait(u16),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Try),
        1 => Just(Event::Succeed),
        3 => any::<u32>().prop_map(|jitter| Event::Fail(Prognosis::Passing, jitter)),
        1 => any::<u32>().prop_map(|jitter| Event::Fail(Prognosis::Lasting, jitter)),
        1 => any::<u32>().prop_map(|jitter| Event::Fail(Prognosis::Doubtful, jitter)),
        1 => Just(Event::GiveUp),
        1 => Just(Event::Renew),
        4 => (0..6_000_u16).prop_map(Event::Wait),
    ]
}

/// A breaker, its simulated clock, and the tickets that are out.
struct World {
    breaker: Breaker,
    now: Instant,
    out: Vec<Ticket>,
}

impl World {
    fn new() -> Self {
        Self { breaker: Breaker::new(SETTINGS), now: Instant::now(), out: Vec::new() }
    }

    fn happens(&mut self, event: &Event) {
        let first = match event {
            Event::Wait(ms) => {
                self.now += Duration::from_millis((*ms).into());
                None
            }
            Event::Try => {
                self.out.extend(self.breaker.may_try(self.now).ok());
                None
            }
            _ if self.out.is_empty() => None,
            _ => Some(self.out.remove(0)),
        };
        match (first, event) {
            (Some(_), Event::Succeed) => self.breaker.succeeded(),
            (Some(ticket), Event::Fail(prognosis, jitter)) => {
                self.breaker.failed(&ticket, *prognosis, self.now, Jitter(*jitter));
            }
            (Some(ticket), Event::GiveUp) => self.breaker.given_up(&ticket),
            (Some(ticket), Event::Renew) => self.out.extend(self.breaker.renew(ticket, self.now).ok()),
            _ => {}
        }
    }

    /// Tickets that keep all others from trying.
    fn alone(&self) -> usize {
        self.out.iter().filter(|ticket| ticket.is_alone && ticket.era == self.breaker.era).count()
    }

    /// Fails once, as soon as the breaker lets it, and says whether it is open then.
    fn fail(&mut self, prognosis: Prognosis) -> bool {
        if let Some((_, next)) = self.breaker.outage() {
            self.now = self.now.max(next);
        }
        let ticket = self.breaker.may_try(self.now).expect("the pause is over");
        self.breaker.failed(&ticket, prognosis, self.now, Jitter(0));
        self.breaker.standing() == Standing::Open
    }
}

proptest! {
    /// Whatever happens: one login at a time unless it is closed, pauses within their bounds, never wedged.
    #[test]
    fn it_is_never_stormed_and_never_stuck(events in prop::collection::vec(event(), 1..200)) {
        let mut world = World::new();
        for event in &events {
            world.happens(event);
            prop_assert!(world.alone() <= 1, "{} logins where one is allowed", world.alone());
            if let Some((_, next)) = world.breaker.outage() {
                let pause = next.saturating_duration_since(world.now);
                prop_assert!(pause <= SETTINGS.open.longest, "a pause of {pause:?}");
            }
            if world.breaker.refuses(world.now).is_some() {
                let standing = world.breaker.standing();
                prop_assert!(matches!(standing, Standing::Open | Standing::Probing), "refused while {standing:?}");
            }
        }
        // Whoever had a ticket is gone, and the longest pause is over.
        for ticket in std::mem::take(&mut world.out) {
            world.breaker.given_up(&ticket);
        }
        world.now += SETTINGS.open.longest;
        prop_assert!(world.breaker.refuses(world.now).is_none());
        prop_assert!(world.breaker.may_try(world.now).is_ok(), "stuck: {:?}", world.breaker);
        world.breaker.succeeded();
        prop_assert_eq!(world.breaker.standing(), Standing::Closed);
        prop_assert!(world.breaker.may_try(world.now).is_ok_and(|ticket| !ticket.is_alone));
    }

    /// A server that is away for less than the patience refuses nobody, and is found again within the longest pause.
    #[test]
    fn a_restart_costs_waiting_and_no_errors(away_ms in 1..9_000_u64, login_ms in 0..50_u64, jitter: u32) {
        let (mut world, login) = (World::new(), Duration::from_millis(login_ms));
        world.breaker.succeeded();
        let back = world.now + Duration::from_millis(away_ms);
        let mut logins = 0;
        while world.now < back || world.breaker.standing() != Standing::Closed {
            match world.breaker.may_try(world.now) {
                Err(Denied::Until(next)) => world.now = next,
                Err(Denied::UnderWay) => prop_assert!(false, "nobody else tries"),
                Ok(ticket) => {
                    logins += 1;
                    let begun = world.now;
                    world.now += login;
                    if begun >= back {
                        world.breaker.succeeded();
                        break;
                    }
                    world.breaker.failed(&ticket, Prognosis::Passing, world.now, Jitter(jitter));
                }
            }
            prop_assert!(world.breaker.refuses(world.now).is_none(), "refused after {logins} logins");
        }
        let late = world.now.saturating_duration_since(back);
        prop_assert!(late <= SETTINGS.trying.longest + 2 * login, "found again {late:?} late");
        prop_assert!(logins <= 8 + away_ms / 200, "{logins} logins in {away_ms} ms");
    }
}

#[test]
fn the_first_login_ever_goes_alone() {
    let mut world = World::new();
    let first = world.breaker.may_try(world.now).expect("nothing is known");
    assert_eq!(world.breaker.may_try(world.now).err(), Some(Denied::UnderWay));
    world.breaker.given_up(&first);
    let _second = world.breaker.may_try(world.now).expect("the first was given up");
    world.breaker.succeeded();
    assert!(world.breaker.may_try(world.now).is_ok() && world.breaker.may_try(world.now).is_ok());
}

#[test]
fn one_failure_refuses_nobody_however_long_it_took() {
    let mut world = World::new();
    world.breaker.succeeded();
    let ticket = world.breaker.may_try(world.now).expect("it is closed");
    world.now += 2 * SETTINGS.patience;
    world.breaker.failed(&ticket, Prognosis::Passing, world.now, Jitter(0));
    assert_eq!(world.breaker.standing(), Standing::Trying);
    assert!(world.fail(Prognosis::Passing), "the second one after so long a time does");
}

#[test]
fn what_cannot_pass_by_itself_refuses_at_once() {
    let mut world = World::new();
    assert!(world.fail(Prognosis::Lasting));
    assert!(matches!(world.breaker.refuses(world.now), Some(Some(pause)) if pause <= SETTINGS.open.first));
    world.now += SETTINGS.open.first;
    assert!(world.breaker.refuses(world.now).is_none(), "whoever comes now makes the next try");
    let _probe = world.breaker.may_try(world.now).expect("it is time");
    assert_eq!((world.breaker.refuses(world.now), world.breaker.standing()), (Some(None), Standing::Probing));
}

#[test]
fn what_may_be_out_of_date_is_tried_a_second_time() {
    let mut world = World::new();
    assert!(!world.fail(Prognosis::Doubtful));
    assert!(world.fail(Prognosis::Doubtful));
}

#[test]
fn failures_that_began_together_count_once_and_those_before_a_success_not_at_all() {
    let mut world = World::new();
    world.breaker.succeeded();
    let tickets: Vec<_> = (0..9).map(|_| world.breaker.may_try(world.now).expect("closed")).collect();
    world.now += SETTINGS.patience;
    for ticket in &tickets {
        world.breaker.failed(ticket, Prognosis::Passing, world.now, Jitter(0));
    }
    assert_eq!(world.breaker.standing(), Standing::Trying);
    world.breaker.succeeded();
    for ticket in &tickets {
        world.breaker.failed(ticket, Prognosis::Lasting, world.now, Jitter(0));
    }
    assert_eq!(world.breaker.standing(), Standing::Closed);
}

#[test]
fn patience_begins_anew_when_nobody_has_asked_for_a_while() {
    let mut world = World::new();
    assert!(!world.fail(Prognosis::Passing));
    world.now += FORGOTTEN_AFTER + SETTINGS.patience;
    assert!(!world.fail(Prognosis::Passing));
    world.now += SETTINGS.patience;
    assert!(world.fail(Prognosis::Passing));
    world.now += 2 * FORGOTTEN_AFTER;
    assert!(world.fail(Prognosis::Passing), "whoever was refused before is refused still");
}

#[test]
fn a_permission_that_had_to_wait_is_asked_for_again() {
    let mut world = World::new();
    world.breaker.succeeded();
    let (slow, quick) = (world.breaker.may_try(world.now), world.breaker.may_try(world.now));
    world.breaker.failed(&quick.expect("closed"), Prognosis::Passing, world.now, Jitter(0));
    let denied = world.breaker.renew(slow.expect("closed"), world.now);
    assert!(matches!(denied, Err(Denied::Until(_))), "{denied:?}");
    world.now += SETTINGS.trying.first;
    let alone = world.breaker.may_try(world.now).expect("the pause is over");
    world.now += SETTINGS.patience;
    let alone = world.breaker.renew(alone, world.now).expect("nobody else could try");
    world.breaker.failed(&alone, Prognosis::Passing, world.now, Jitter(0));
    assert_eq!(world.breaker.standing(), Standing::Open);
}
