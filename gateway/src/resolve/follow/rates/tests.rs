use super::*;
use crate::admit::rate::Meter;
use catalog_schema::RATE_WHOLE;
use tenancy::Limits;

const LASTS: Duration = Duration::from_secs(8);
const HEARTBEAT: Duration = Duration::from_secs(2);
const EVEN: u32 = RATE_WHOLE / 2;

struct World {
    book: Arc<Book>,
    table: Table,
    now: Instant,
}

impl World {
    fn new() -> Self {
        let book = Arc::<Book>::default();
        book.alive(2);
        Self { book, table: Table::default(), now: Instant::now() }
    }

    /// A tenant that has asked for something.
    fn tenant(&self) -> Arc<Meter> {
        let limits = Limits { requests_per_second: 100, request_burst: 4, ..Limits::STANDARD };
        let meter = Arc::new(Meter::new(TenantId::generate(), &limits, Arc::clone(&self.book)));
        assert!(meter.takes());
        meter
    }

    fn look(&mut self) -> bool {
        self.table.look(&self.book, LASTS, self.now)
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.look();
    }

    /// The catalog is asked, and gives this to everybody.
    fn renew(&mut self, share: u32, lacking: u32) -> Vec<RateClaim> {
        let claims = self.table.claims(self.now);
        let told = |claim: &RateClaim| RateShare { tenant: claim.tenant, share, lacking, gateways: 2 };
        let answer: Vec<_> = claims.iter().map(told).collect();
        self.table.answered(&answer, &self.book, self.now + LASTS);
        claims
    }

    fn is_due(&self) -> bool {
        self.table.is_due(false, HEARTBEAT, self.now)
    }
}

#[test]
fn whoever_comes_is_asked_for_at_once_and_gets_what_the_catalog_says() {
    let mut world = World::new();
    assert!(!world.look() && !world.is_due());
    let tenant = world.tenant();
    assert!(world.look() && world.is_due());
    let claims = world.renew(300_000, 0);
    assert_eq!(claims, [RateClaim { tenant: tenant.tenant(), in_force: 0, wanted: EVEN }]);
    assert_eq!(tenant.standing(), Standing::Share(300_000));
    assert!(!world.is_due());
    world.pass(HEARTBEAT);
    assert!(world.is_due());
    assert_eq!(world.renew(300_000, 0)[0].in_force, 300_000);
}

#[test]
fn a_tenant_that_gets_no_answer_has_an_even_part_before_long() {
    let mut world = World::new();
    let tenant = world.tenant();
    world.look();
    assert_eq!(tenant.standing(), Standing::Awaited);
    world.pass(Duration::from_secs(1));
    assert_eq!(tenant.standing(), Standing::Even);
    assert_eq!(world.renew(1, 0)[0].in_force, EVEN);
}

#[test]
fn a_share_outlives_its_lease_as_no_more_than_an_even_part_until_the_catalog_has_given_it_up() {
    for (share, after) in [(RATE_WHOLE, EVEN), (10, 10)] {
        let mut world = World::new();
        let tenant = world.tenant();
        world.look();
        world.renew(share, 0);
        world.pass(LASTS - Duration::from_millis(1));
        let _ = tenant.owes();
        assert_eq!(tenant.standing(), Standing::Share(share), "the catalog is away, and that is all");
        world.pass(Duration::from_millis(1));
        assert_eq!((tenant.standing(), world.book.lapsed.get()), (Standing::Share(after), 1));
        world.pass(LASTS * 3 / 4);
        assert_eq!((tenant.standing(), world.book.lapsed.get()), (Standing::Even, 1), "counted once");
    }
}

#[test]
fn the_catalog_is_asked_sooner_when_there_is_more_to_do_or_something_was_given_up_or_is_due() {
    let mut world = World::new();
    let tenant = world.tenant();
    world.look();
    world.renew(100_000, 0);
    world.pass(LACKING_GAP);
    assert!(!world.is_due());
    while tenant.takes() {}
    assert!(world.is_due());
    assert_eq!(world.renew(100_000, 400_000)[0].wanted, RATE_WHOLE);
    assert!(!world.is_due(), "not at once");
    world.pass(LACKING_GAP);
    assert!(world.is_due(), "what is due to it may be free by now");
    while tenant.takes() {}
    world.renew(500_000, 0);
    world.pass(LACKING_GAP);
    while tenant.takes() {}
    assert!(!world.is_due(), "the catalog knows, and has no more");
    world.renew(200_000, 0);
    world.pass(LACKING_GAP);
    assert!(world.is_due(), "others wait to hear that it is in force");
}

#[test]
fn a_tenant_that_is_quiet_for_long_gives_its_share_back_and_is_asked_for_anew() {
    let mut world = World::new();
    let tenant = world.tenant();
    while tenant.takes() {}
    world.look();
    world.renew(RATE_WHOLE, 0);
    world.pass(LASTS + Duration::from_millis(1));
    assert!(world.table.leases.is_empty() && world.is_due(), "it is given back");
    assert!(world.renew(0, 0).is_empty());
    assert!(!world.table.has_something());
    let _ = tenant.owes();
    assert!(world.look(), "it has come");
    assert_eq!(tenant.standing(), Standing::Awaited);
    world.pass(Duration::from_millis(500));
    assert_eq!(world.renew(0, 0)[0].wanted, 30_000, "for one request, whatever it asked for before");
}

#[test]
fn of_too_many_tenants_those_that_are_held_up_are_claimed_for_and_the_others_have_even_parts() {
    let mut world = World::new();
    // Half of what can be claimed for, which nobody chooses by chance.
    let busy: Vec<_> = (0..RATE_CLAIMS_MAX / 2).map(|_| world.tenant()).collect();
    let quiet: Vec<_> = (0..RATE_CLAIMS_MAX).map(|_| world.tenant()).collect();
    for tenant in &busy {
        while tenant.takes() {}
    }
    world.look();
    assert_eq!(world.renew(7, 0).len(), RATE_CLAIMS_MAX);
    assert!(busy.iter().all(|tenant| tenant.standing() == Standing::Share(7)));
    let count = |standing| quiet.iter().filter(|tenant| tenant.standing() == standing).count();
    assert_eq!(
        (count(Standing::Share(7)), count(Standing::Even)),
        (RATE_CLAIMS_MAX / 2, RATE_CLAIMS_MAX / 2)
    );
}

#[test]
fn the_catalog_is_not_asked_for_newcomers_more_often_than_all_gateways_may() {
    let gaps = [0, 1, 4, 10, 1_000].map(|gateways| newcomers_gap(gateways).as_millis());
    assert_eq!(gaps, [50, 50, 200, 500, 500]);
}

#[test]
fn demand_is_what_was_asked_for_and_half_as_much_again() {
    let mut world = World::new();
    let tenant = world.tenant();
    world.look();
    world.renew(RATE_WHOLE, 0);
    for _ in 0..39 {
        let _ = tenant.owes();
    }
    world.pass(Duration::from_secs(1));
    assert_eq!(world.renew(RATE_WHOLE, 0)[0].wanted, 600_000, "40 of 100");
}
