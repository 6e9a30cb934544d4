use super::*;
use crate::metrics::TenantUsage;
use proptest::prelude::*;
use totals::Total;
use uuid::Uuid;

fn id(number: u8) -> TenantId {
    TenantId::from(Uuid::from_u128(u128::from(number)))
}

fn sample(number: u8, transactions: u64) -> Sample {
    let usage = TenantUsage::new("");
    usage.transactions.add(transactions);
    Sample {
        id: id(number),
        label: format!("tenant-{number}").into(),
        holding: Holding { clients: 1, ..Holding::default() },
        totals: (&Totals::read(&usage)).into(),
    }
}

/// Scrapes a minute apart, so that each is a judgement too.
struct Scrapes {
    tenants: Tenants,
    now: Instant,
}

impl Scrapes {
    fn new(exact_max: usize) -> Self {
        Self { tenants: Tenants::new(exact_max), now: Instant::now() }
    }

    fn next(&mut self, found: &[(u8, u64)]) -> View {
        self.now += JUDGED_EVERY;
        let samples = found.iter().map(|(number, transactions)| sample(*number, *transactions)).collect();
        self.tenants.observe(self.now, samples)
    }
}

fn transactions(view: &View, label: &str) -> Option<u64> {
    view.rows.get(label).map(|row| row.totals.get(Total::Transactions))
}

#[test]
fn the_first_to_come_are_exact_and_the_rest_are_summed() {
    let view = Scrapes::new(2).next(&[(4, 40), (1, 10), (2, 20), (3, 30)]);
    assert_eq!(transactions(&view, "tenant-1"), Some(10));
    assert_eq!(transactions(&view, "tenant-2"), Some(20));
    assert_eq!(transactions(&view, OTHER), Some(70));
    assert_eq!(view.rows[OTHER].holding.clients, 2);
    assert_eq!((view.exact, view.folded, view.rows.len()), (2, 2, 3));
}

#[test]
fn nobody_is_folded_while_there_is_room() {
    let view = Scrapes::new(2).next(&[(1, 1), (2, 2)]);
    assert_eq!(transactions(&view, OTHER), None);
}

#[test]
fn with_no_room_at_all_everybody_is_folded() {
    let view = Scrapes::new(0).next(&[(1, 1), (2, 2)]);
    assert_eq!((transactions(&view, OTHER), view.rows.len()), (Some(3), 1));
}

#[test]
fn a_clearly_busier_tenant_takes_over_after_two_judgements() {
    let mut scrapes = Scrapes::new(1);
    scrapes.next(&[(1, 0), (2, 0)]);
    let once = scrapes.next(&[(1, 10), (2, 30)]);
    assert_eq!((transactions(&once, "tenant-1"), transactions(&once, OTHER)), (Some(10), Some(30)));
    let twice = scrapes.next(&[(1, 20), (2, 60)]);
    assert_eq!(transactions(&twice, "tenant-1"), None, "its series are gone");
    assert_eq!(transactions(&twice, "tenant-2"), Some(0), "they start at zero");
    assert_eq!(transactions(&twice, OTHER), Some(60), "what was counted there stays there");
    let after = scrapes.next(&[(1, 25), (2, 67)]);
    assert_eq!((transactions(&after, "tenant-2"), transactions(&after, OTHER)), (Some(7), Some(65)));
}

#[test]
fn tenants_of_like_load_do_not_flap() {
    let mut scrapes = Scrapes::new(1);
    let (mut first, mut second) = (0, 0);
    for round in 0..50 {
        let even = round % 2 == 0;
        // Each is in turn three times as busy as the other, then they are nearly equal.
        let (one, two) = if round >= 25 {
            (10, 19)
        } else if even {
            (10, 30)
        } else {
            (30, 10)
        };
        first += one;
        second += two;
        let view = scrapes.next(&[(1, first), (2, second)]);
        assert_eq!(transactions(&view, "tenant-1"), Some(first));
    }
}

#[test]
fn judgements_are_at_least_a_minute_apart() {
    let mut tenants = Tenants::new(1);
    let start = Instant::now();
    for second in 0..59 {
        let samples = vec![sample(1, 0), sample(2, second * 1_000)];
        let view = tenants.observe(start + Duration::from_secs(second), samples);
        assert!(view.rows.contains_key("tenant-1"));
    }
}

#[test]
fn a_purged_tenant_loses_its_series_and_leaves_its_place() {
    let mut scrapes = Scrapes::new(1);
    scrapes.next(&[(1, 10), (2, 20)]);
    let view = scrapes.next(&[(2, 25)]);
    assert_eq!(transactions(&view, "tenant-1"), None);
    assert_eq!(transactions(&view, "tenant-2"), Some(0), "the free place is taken without a contest");
    assert_eq!((transactions(&view, OTHER), view.exact, view.folded), (Some(25), 1, 0));
    let empty = scrapes.next(&[]);
    assert_eq!((transactions(&empty, OTHER), empty.rows.len()), (Some(25), 1));
    assert_eq!(empty.all.get(Total::Transactions), 35);
}

#[test]
fn a_renamed_tenant_keeps_its_numbers_under_the_new_name() {
    let mut tenants = Tenants::new(1);
    tenants.observe(Instant::now(), vec![sample(1, 10)]);
    let renamed = Sample { label: "new".into(), ..sample(1, 11) };
    let view = tenants.observe(Instant::now(), vec![renamed]);
    assert_eq!((transactions(&view, "new"), view.rows.len()), (Some(11), 1));
}

#[test]
fn two_tenants_of_one_slug_share_a_row() {
    let twin = Sample { label: "tenant-1".into(), ..sample(2, 5) };
    let view = Tenants::new(2).observe(Instant::now(), vec![sample(1, 10), twin]);
    assert_eq!((transactions(&view, "tenant-1"), view.rows.len()), (Some(15), 1));
}

#[derive(Debug, Clone)]
enum Event {
    /// The tenant does so much more; it comes if it was not there.
    Uses(u8, u64),
    /// It is purged, or falls out of the cache.
    Leaves(u8),
    /// It falls out of the cache and is looked up again between two scrapes.
    StartsAnew(u8),
    /// A scrape, so many seconds after the last.
    Scraped(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..8u8, 0..1_000u64).prop_map(|(tenant, amount)| Event::Uses(tenant, amount)),
        1 => (0..8u8).prop_map(Event::Leaves),
        1 => (0..8u8).prop_map(Event::StartsAnew),
        3 => (0..120u64).prop_map(Event::Scraped),
    ]
}

fn check_step(before: &View, after: &View, exact_max: usize) {
    let named = after.rows.keys().filter(|label| ***label != *OTHER).count();
    assert!(named <= exact_max, "{named} tenants have series of their own");
    assert_eq!(named, after.exact);
    if let Some(other) = transactions(before, OTHER) {
        assert!(transactions(after, OTHER).is_some_and(|now| now >= other), "{OTHER} fell");
    }
    assert!(after.all.get(Total::Transactions) >= before.all.get(Total::Transactions));
    assert!(after.folded == 0 || after.rows.contains_key(OTHER));
}

proptest! {
    #[test]
    fn the_bound_holds_and_no_counter_falls(
        exact_max in 0..4usize,
        events in prop::collection::vec(event(), 1..200),
    ) {
        let mut tenants = Tenants::new(exact_max);
        let mut now = Instant::now();
        let mut used: BTreeMap<u8, u64> = BTreeMap::new();
        let mut left: HashSet<u8> = HashSet::new();
        let mut before = tenants.observe(now, Vec::new());
        for event in events {
            match event {
                Event::Uses(tenant, amount) => *used.entry(tenant).or_default() += amount,
                Event::Leaves(tenant) => {
                    used.remove(&tenant);
                    left.insert(tenant);
                }
                Event::StartsAnew(tenant) => {
                    used.entry(tenant).and_modify(|count| *count = 0);
                }
                Event::Scraped(seconds) => {
                    now += Duration::from_secs(seconds);
                    let samples = used.iter().map(|(tenant, count)| sample(*tenant, *count)).collect();
                    let after = tenants.observe(now, samples);
                    check_step(&before, &after, exact_max);
                    prop_assert_eq!(after.exact + after.folded, used.len());
                    for tenant in used.keys().filter(|tenant| !left.contains(*tenant)) {
                        let label = format!("tenant-{tenant}");
                        if let (Some(then), Some(is)) = (transactions(&before, &label), transactions(&after, &label)) {
                            prop_assert!(is >= then, "{} fell", label);
                        }
                    }
                    left.clear();
                    before = after;
                }
            }
        }
    }
}
