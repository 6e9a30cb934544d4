//! A tenant's counters at one instant, as numbers that can be added and subtracted.

use crate::metrics::TenantUsage;
use crate::metrics::usage::WAIT_BUCKETS;
use crate::relay::pin::PinReason;
use std::ops::{AddAssign, Range};
use tenancy::ErrorKind;

const SINGLES: usize = 11;
const ERRORS: Range<usize> = SINGLES..SINGLES + ErrorKind::ALL.len();
const PINS: Range<usize> = ERRORS.end..ERRORS.end + PinReason::ALL.len();
const WAITS: Range<usize> = PINS.end..PINS.end + WAIT_BUCKETS;
const LENGTH: usize = WAITS.end;

/// A counter that has no label but its tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// Transactions that ended.
    Transactions,
    /// Bytes relayed to the server.
    BytesToServer,
    /// Bytes relayed to clients.
    BytesToClient,
    /// Check-outs.
    Checkouts,
    /// Time that check-outs took, in microseconds.
    CheckoutWaitUs,
    /// Connections closed to make room or because they were stale.
    Evictions,
    /// Errors that the server answered.
    ServerErrors,
    /// Connections that were reset at the end of a session.
    SessionResets,
    /// Connections that were reset on their way from one client to another.
    HandoverResets,
    /// Settings set or reset on a connection for its next client.
    SettingsReplayed,
    /// Notifications that clients were told of.
    Notifications,
}

/// All counters of a tenant, or of several together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals([u64; LENGTH]);

impl Default for Totals {
    fn default() -> Self {
        Self([0; LENGTH])
    }
}

impl Totals {
    /// The counters as they stand.
    #[must_use]
    pub fn read(usage: &TenantUsage) -> Self {
        let mut totals = Self::default();
        let singles = [
            (Total::Transactions, &usage.transactions),
            (Total::BytesToServer, &usage.bytes_to_server),
            (Total::BytesToClient, &usage.bytes_to_client),
            (Total::Checkouts, &usage.checkouts),
            (Total::CheckoutWaitUs, &usage.checkout_wait_us),
            (Total::Evictions, &usage.evictions),
            (Total::ServerErrors, &usage.server_errors),
            (Total::SessionResets, &usage.session_resets),
            (Total::HandoverResets, &usage.handover_resets),
            (Total::SettingsReplayed, &usage.settings_replayed),
            (Total::Notifications, &usage.notifications),
        ];
        for (total, counter) in singles {
            totals.0[total as usize] = counter.get();
        }
        totals.fill(ERRORS, usage.errors().map(|(_, count)| count));
        totals.fill(PINS, usage.pins().map(|(_, count)| count));
        totals.fill(WAITS, usage.waits());
        totals
    }

    /// Every counter, in an order that does not change.
    #[must_use]
    pub(super) fn values(&self) -> &[u64] {
        &self.0
    }

    /// The same, to be filled in.
    pub(super) fn values_mut(&mut self) -> &mut [u64] {
        &mut self.0
    }

    /// One counter.
    #[must_use]
    pub fn get(&self, total: Total) -> u64 {
        self.0[total as usize]
    }

    /// Refusals by kind.
    pub fn errors(&self) -> impl Iterator<Item = (ErrorKind, u64)> + '_ {
        ErrorKind::ALL.into_iter().zip(self.0[ERRORS].iter().copied())
    }

    /// Pins by reason.
    pub fn pins(&self) -> impl Iterator<Item = (PinReason, u64)> + '_ {
        PinReason::ALL.into_iter().zip(self.0[PINS].iter().copied())
    }

    /// Check-outs by how long they took, the buckets of [`TenantUsage::waits`].
    #[must_use]
    pub fn waits(&self) -> &[u64] {
        &self.0[WAITS]
    }

    /// How much a tenant does, to compare it with others: what it asked for, served or refused.
    #[must_use]
    pub fn activity(&self) -> u64 {
        let refusals = self.0[ERRORS].iter().fold(0, |sum: u64, count| sum.saturating_add(*count));
        self.get(Total::Transactions).saturating_add(self.get(Total::Checkouts)).saturating_add(refusals)
    }

    /// What was counted since `before`. Counters only rise, so where one has fallen they were started
    /// anew (the tenant was forgotten and looked up again), and all that they hold was counted since.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let fallen = self.0.iter().zip(&before.0).any(|(now, then)| now < then);
        if fallen {
            return self.clone();
        }
        let mut difference = self.clone();
        for (now, then) in difference.0.iter_mut().zip(&before.0) {
            *now -= then;
        }
        difference
    }

    fn fill(&mut self, range: Range<usize>, values: impl Iterator<Item = u64>) {
        for (slot, value) in self.0[range].iter_mut().zip(values) {
            *slot = value;
        }
    }
}

impl AddAssign<&Totals> for Totals {
    fn add_assign(&mut self, other: &Totals) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine = mine.saturating_add(*theirs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn used() -> TenantUsage {
        let usage = TenantUsage::new("acme");
        usage.transactions.add(1);
        usage.bytes_to_server.add(2);
        usage.bytes_to_client.add(3);
        usage.checked_out(Duration::from_micros(5));
        usage.evictions.add(6);
        usage.server_errors.add(7);
        usage.session_resets.add(8);
        usage.handover_resets.add(9);
        usage.settings_replayed.add(10);
        usage.notifications.add(11);
        usage.refused(ErrorKind::Internal);
        usage.pinned(PinReason::Library);
        usage
    }

    #[test]
    fn every_counter_is_read_into_its_place() {
        let totals = Totals::read(&used());
        let singles = [
            Total::Transactions,
            Total::BytesToServer,
            Total::BytesToClient,
            Total::Checkouts,
            Total::CheckoutWaitUs,
            Total::Evictions,
            Total::ServerErrors,
            Total::SessionResets,
            Total::HandoverResets,
            Total::SettingsReplayed,
            Total::Notifications,
        ];
        assert_eq!(singles.len(), SINGLES);
        assert_eq!(singles.map(|total| totals.get(total)), [1, 2, 3, 1, 5, 6, 7, 8, 9, 10, 11]);
        assert!(totals.errors().filter(|(_, count)| *count > 0).eq([(ErrorKind::Internal, 1)]));
        assert!(totals.pins().filter(|(_, count)| *count > 0).eq([(PinReason::Library, 1)]));
        assert_eq!(totals.waits().iter().sum::<u64>(), 1);
    }

    #[test]
    fn the_difference_is_what_was_added() {
        let usage = used();
        let before = Totals::read(&usage);
        usage.transactions.add(10);
        let mut sum = before.clone();
        let difference = Totals::read(&usage).since(&before);
        assert_eq!(difference.get(Total::Transactions), 10);
        assert_eq!(difference.get(Total::Evictions), 0);
        sum += &difference;
        assert_eq!(sum, Totals::read(&usage));
    }

    #[test]
    fn counters_that_have_fallen_were_started_anew() {
        let before = Totals::read(&used());
        let fresh = TenantUsage::new("acme");
        fresh.transactions.add(100);
        assert_eq!(Totals::read(&fresh).since(&before), Totals::read(&fresh));
    }
}
