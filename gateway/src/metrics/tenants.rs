//! Which tenants get series of their own.
//!
//! At most so many are *exact*; all others are *folded* into one, [`OTHER`]. Tenants are exact in order
//! of arrival until the places are taken. From then on they are judged anew from time to time: a folded
//! tenant takes the place of an exact one only when it was clearly busier twice in a row, so that series
//! do not come and go with every change of load.
//!
//! No counter here ever falls. What is counted between two scrapes is added either to the tenant's own
//! series or to [`OTHER`], and stays there: a tenant that becomes exact starts at zero, one that leaves
//! takes its own series along but nothing out of [`OTHER`]. What a tenant did after the last scrape
//! before it left is not seen.

pub mod packed;
pub mod totals;

use packed::Packed;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::AddAssign;
use std::time::{Duration, Instant};
use tenancy::TenantId;
use totals::Totals;

/// The label of all tenants without series of their own. No slug can be equal to it.
pub const OTHER: &str = "_other";

/// Tenants are judged anew no more often than this.
const JUDGED_EVERY: Duration = Duration::from_secs(60);

/// A challenger must be this many times as busy as the tenant whose place it wants.
const BUSIER_BY: u64 = 2;

/// It must be so in this many judgements in a row.
const WINS_NEEDED: u8 = 2;

/// What a tenant holds right now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holding {
    /// Server connections in use.
    pub active: u64,
    /// Idle server connections.
    pub idle: u64,
    /// Server connections being opened.
    pub opening: u64,
    /// The most server connections it may use.
    pub pool_size: u64,
    /// Clients that wait for a server connection.
    pub waiting: u64,
    /// Clients connected.
    pub clients: u64,
}

impl AddAssign for Holding {
    fn add_assign(&mut self, other: Self) {
        self.active += other.active;
        self.idle += other.idle;
        self.opening += other.opening;
        self.pool_size += other.pool_size;
        self.waiting += other.waiting;
        self.clients += other.clients;
    }
}

/// One tenant as a scrape finds it.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Who.
    pub id: TenantId,
    /// Its slug now.
    pub label: Box<str>,
    /// What it holds.
    pub holding: Holding,
    /// What it has used since the gateway knows it.
    pub totals: Packed,
}

/// What is shown under one value of the label `tenant`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// The sum over the tenants behind the label.
    pub holding: Holding,
    /// Likewise, since the label stands for them.
    pub totals: Totals,
}

/// What one scrape shows of the tenants.
#[derive(Debug, Clone)]
pub struct View {
    /// By label, [`OTHER`] among them once any tenant was folded.
    pub rows: BTreeMap<Box<str>, Row>,
    /// Everything that was counted for any tenant, whether or not it is still here.
    pub all: Totals,
    /// Tenants with series of their own.
    pub exact: usize,
    /// Tenants under [`OTHER`].
    pub folded: usize,
}

/// Remembers between scrapes who is exact and what was counted where.
#[derive(Debug)]
pub struct Tenants {
    exact_max: usize,
    known: HashMap<TenantId, Known>,
    other: Option<Totals>,
    all: Totals,
    judged: Option<Instant>,
}

#[derive(Debug, Default)]
struct Known {
    /// The counters at the last scrape.
    last: Packed,
    /// What its own series show; `None` while it is folded. Boxed, as most tenants may be.
    exact: Option<Box<Totals>>,
    /// What it did since the last judgement.
    activity: u64,
    /// Judgements in a row in which it was busier than the one whose place it wants.
    wins: u8,
}

impl Tenants {
    /// Nobody is known yet; at most `exact_max` tenants will be exact.
    #[must_use]
    pub fn new(exact_max: usize) -> Self {
        Self { exact_max, known: HashMap::new(), other: None, all: Totals::default(), judged: None }
    }

    /// Takes in what a scrape found. Tenants that it did not find are forgotten.
    pub fn observe(&mut self, now: Instant, mut samples: Vec<Sample>) -> View {
        // Ids are made in order of creation: of those that arrive together, the eldest come first.
        samples.sort_unstable_by_key(|sample| sample.id);
        samples.dedup_by_key(|sample| sample.id);
        let present: HashSet<TenantId> = samples.iter().map(|sample| sample.id).collect();
        self.known.retain(|id, _| present.contains(id));
        let mut places = self.exact_max.saturating_sub(self.exact_count());
        for sample in &samples {
            self.count(sample, &mut places);
        }
        let judged = *self.judged.get_or_insert(now);
        if now.saturating_duration_since(judged) >= JUDGED_EVERY {
            self.judged = Some(now);
            self.judge();
        }
        self.view(&samples)
    }

    fn count(&mut self, sample: &Sample, places: &mut usize) {
        let known = self.known.entry(sample.id).or_insert_with(|| {
            let exact = (*places > 0).then(Box::default);
            *places -= usize::from(exact.is_some());
            Known { exact, ..Known::default() }
        });
        let counted = Totals::from(&sample.totals).since(&Totals::from(&known.last));
        known.last = sample.totals.clone();
        known.activity = known.activity.saturating_add(counted.activity());
        self.all += &counted;
        match &mut known.exact {
            Some(shown) => **shown += &counted,
            None => *self.other.get_or_insert_default() += &counted,
        }
    }

    /// Pairs the busiest folded tenant with the least busy exact one, and so on. Free places go to the
    /// busiest without a contest, since nobody has to leave.
    fn judge(&mut self) {
        let mut challengers = self.ranked(false);
        challengers.reverse();
        let free = self.exact_max.saturating_sub(self.exact_count()).min(challengers.len());
        let defenders = self.ranked(true);
        for (_, id) in challengers.drain(..free) {
            self.promote(id);
        }
        let mut pairs = defenders.into_iter();
        for (activity, id) in challengers {
            let weaker = pairs.next().filter(|(weakest, _)| activity > weakest.saturating_mul(BUSIER_BY));
            let Some(challenger) = self.known.get_mut(&id) else { continue };
            challenger.wins = if weaker.is_some() { challenger.wins + 1 } else { 0 };
            if let Some((_, loser)) = weaker
                && challenger.wins >= WINS_NEEDED
            {
                self.fold(loser);
                self.promote(id);
            }
        }
        for known in self.known.values_mut() {
            known.activity = 0;
        }
    }

    /// The exact or the folded tenants, the least busy first.
    fn ranked(&self, exact: bool) -> Vec<(u64, TenantId)> {
        let side = self.known.iter().filter(|(_, known)| known.exact.is_some() == exact);
        let mut ranked: Vec<_> = side.map(|(id, known)| (known.activity, *id)).collect();
        ranked.sort_unstable();
        ranked
    }

    fn promote(&mut self, id: TenantId) {
        if let Some(known) = self.known.get_mut(&id) {
            known.exact = Some(Box::default());
            known.wins = 0;
        }
    }

    fn fold(&mut self, id: TenantId) {
        if let Some(known) = self.known.get_mut(&id) {
            known.exact = None;
            self.other.get_or_insert_default();
        }
    }

    fn exact_count(&self) -> usize {
        self.known.values().filter(|known| known.exact.is_some()).count()
    }

    fn view(&self, samples: &[Sample]) -> View {
        let mut rows: BTreeMap<Box<str>, Row> = BTreeMap::new();
        if let Some(totals) = &self.other {
            rows.insert(OTHER.into(), Row { totals: totals.clone(), ..Row::default() });
        }
        for sample in samples {
            let shown = self.known.get(&sample.id).and_then(|known| known.exact.as_deref());
            let label = if shown.is_some() { sample.label.clone() } else { OTHER.into() };
            // A slug may pass from one tenant to another while both are cached: their sum is shown, as
            // a second series of the same name would spoil the whole scrape.
            let row = rows.entry(label).or_default();
            row.holding += sample.holding;
            if let Some(shown) = shown {
                row.totals += shown;
            }
        }
        let exact = self.exact_count();
        View { rows, all: self.all.clone(), exact, folded: self.known.len() - exact }
    }
}

#[cfg(test)]
mod tests;
