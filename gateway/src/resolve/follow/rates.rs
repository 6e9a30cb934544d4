//! This gateway's shares of tenants' rates.
//!
//! The catalog splits a tenant's rate over the gateways at which the tenant asks. A share is held by a lease, which is
//! renewed as often as the heartbeat, for all tenants at once, and sooner for one that has just come or has more to do
//! than its share allows. What was told counts from when it was asked for, on a clock that nobody sets. When the lease
//! ends the share is no more than an even part; and it is an even part once the catalog has given up the lease too, so
//! that gateways which all lost the catalog let no more than the rate through.
//!
//! `docs/decisions/2026-11-21-rate-leases.md` says why they never do, and what is not promised.

mod lease;

use super::Progress;
use crate::admit::rate::{Book, Standing};
use catalog_schema::{Catalog, RATE_CLAIMS_MAX, RateClaim, RateRenewal, RateShare};
use lease::Lease;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tenancy::{GatewayId, TenantId};

/// Heartbeats that may fail before shares are lost.
const LEASE_HEARTBEATS: u32 = 4;

/// The shortest lease: a machine that is busy for a moment does not lose it.
const LEASE_MIN: Duration = Duration::from_secs(4);

/// Between two renewals when a tenant has just come, for each gateway that lives: the catalog hears one at a time.
const NEWCOMERS_GAP: Duration = Duration::from_millis(50);

/// When a tenant lacks some of its share, and at the longest when one has just come; and how often that is looked at.
const LACKING_GAP: Duration = Duration::from_millis(500);
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// The shares, and what was said of them.
pub(super) struct Rates {
    pub(super) catalog: Catalog,
    pub(super) gateway: GatewayId,
    pub(super) book: Arc<Book>,
    pub(super) progress: Arc<Progress>,
    /// How often they are renewed at least.
    pub(super) heartbeat: Duration,
}

/// What is known of the tenants that ask.
#[derive(Default)]
struct Table {
    leases: HashMap<TenantId, Lease>,
    /// Renewals sent.
    sent: i64,
    sent_at: Option<Instant>,
    /// The catalog has leases of ours on record, as far as we know.
    is_known: bool,
    gateways: u32,
}

impl Rates {
    /// Keeps them, for ever.
    pub(super) async fn keep_sharing(&self) {
        let mut table = Table::default();
        loop {
            tokio::select! {
                () = self.book.any_came() => {}
                () = tokio::time::sleep(LOOK_INTERVAL), if table.has_something() => {}
            }
            let has_come = table.look(&self.book, self.lasts(), Instant::now());
            if has_come && let Some(earliest) = table.sent_at.map(|sent| sent + newcomers_gap(table.gateways))
            {
                tokio::time::sleep_until(earliest.into()).await;
            }
            if self.progress.connected() && table.is_due(has_come, self.heartbeat, Instant::now()) {
                self.renew(&mut table).await;
            }
            self.count(&table);
        }
    }

    fn lasts(&self) -> Duration {
        (self.heartbeat * LEASE_HEARTBEATS).max(LEASE_MIN)
    }

    async fn renew(&self, table: &mut Table) {
        // Before anything is read: the lease counts from here.
        let sent_at = Instant::now();
        let claims = table.claims(sent_at);
        // Half of the time between is for what is waited for, and half for clocks that run differently.
        let renewal =
            RateRenewal { gateway: self.gateway, number: table.sent, lasts: catalog_lasts(self.lasts()) };
        match self.catalog.renew_rates(&renewal, &claims).await {
            Ok(answer) => table.answered(&answer, &self.book, sent_at + self.lasts()),
            Err(error) => tracing::info!(%error, "the shares of rates could not be renewed"),
        }
        table.age(&self.book, self.lasts(), Instant::now());
    }

    fn count(&self, table: &Table) {
        let leased =
            table.leases.values().filter(|lease| matches!(lease.standing(), Standing::Share(_))).count();
        let of = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        self.book.leased.store(of(leased), Ordering::Relaxed);
        self.book.unleased.store(of(table.leases.len() - leased), Ordering::Relaxed);
    }
}

/// However many gateways there are, the catalog is not asked more often by all of them than by a few.
fn newcomers_gap(gateways: u32) -> Duration {
    (NEWCOMERS_GAP * gateways.max(1)).min(LACKING_GAP)
}

/// How long the catalog counts on a lease that a gateway counts on for so long.
fn catalog_lasts(lease: Duration) -> Duration {
    lease * 7 / 4
}

impl Table {
    /// Takes in who has come, and lets go of what is over. Says whether anybody has come.
    fn look(&mut self, book: &Book, lasts: Duration, now: Instant) -> bool {
        let newcomers = book.newcomers();
        let has_come = !newcomers.is_empty();
        for meter in newcomers {
            self.leases.insert(meter.tenant(), Lease::new(meter, now));
        }
        self.age(book, lasts, now);
        self.leases.retain(|_, lease| {
            let is_over = lease.has_been_quiet_for(now) > lasts;
            if is_over {
                lease.meter().leave_book();
            }
            !is_over
        });
        has_come
    }

    fn age(&mut self, book: &Book, lasts: Duration, now: Instant) {
        let gateways = book.gateways();
        let has_changed = std::mem::replace(&mut self.gateways, gateways) != gateways;
        for lease in self.leases.values_mut() {
            if lease.age(gateways, catalog_lasts(lasts) - lasts, now) {
                book.lapsed.inc();
            } else if has_changed {
                lease.meter().stand(lease.standing());
            }
        }
    }

    fn is_due(&self, has_come: bool, heartbeat: Duration, now: Instant) -> bool {
        let Some(sent_at) = self.sent_at else { return self.has_something() };
        let since = now.duration_since(sent_at);
        has_come
            || (since >= LACKING_GAP && self.leases.values().any(Lease::wants_more))
            || (since >= heartbeat && self.has_something())
    }

    /// There is something to renew, or to give back.
    fn has_something(&self) -> bool {
        !self.leases.is_empty() || self.is_known
    }

    /// What the catalog is to be told now: of those that need it most, if there are too many.
    fn claims(&mut self, now: Instant) -> Vec<RateClaim> {
        (self.sent, self.sent_at) = (self.sent + 1, Some(now));
        let gateways = self.gateways;
        let mut leases: Vec<&mut Lease> = self.leases.values_mut().collect();
        leases.iter_mut().for_each(|lease| lease.measure(gateways, now));
        leases.sort_unstable_by_key(|lease| std::cmp::Reverse(lease.need()));
        for lease in leases.iter_mut().skip(RATE_CLAIMS_MAX) {
            lease.stand(Standing::Even);
        }
        let claims: Vec<_> =
            leases.iter_mut().take(RATE_CLAIMS_MAX).map(|lease| lease.claim(gateways)).collect();
        self.is_known = !claims.is_empty();
        claims
    }

    /// Puts the catalog's answer in force.
    fn answered(&mut self, answer: &[RateShare], book: &Book, expires: Instant) {
        for told in answer {
            book.alive(usize::try_from(told.gateways).unwrap_or(usize::MAX));
            if let Some(lease) = self.leases.get_mut(&told.tenant) {
                lease.told(told, expires);
            }
        }
    }
}

#[cfg(test)]
mod tests;
