//! Totals as they are kept for every tenant: without the many that are zero.

use super::totals::Totals;

/// The counters that are not zero, each with its place. A tenant that does nothing unusual has about a dozen of them.
#[derive(Debug, Clone, Default)]
pub struct Packed(Box<[(u8, u64)]>);

impl From<&Totals> for Packed {
    fn from(totals: &Totals) -> Self {
        let places = (0..=u8::MAX).zip(totals.values());
        Self(places.filter(|(_, value)| **value > 0).map(|(place, value)| (place, *value)).collect())
    }
}

impl From<&Packed> for Totals {
    fn from(packed: &Packed) -> Self {
        let mut totals = Self::default();
        for (place, value) in &packed.0 {
            if let Some(slot) = totals.values_mut().get_mut(usize::from(*place)) {
                *slot = *value;
            }
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::TenantUsage;
    use std::time::Duration;
    use tenancy::ErrorKind;

    #[test]
    fn nothing_is_lost_and_zeros_take_no_room() {
        let usage = TenantUsage::new("acme");
        assert!(Packed::from(&Totals::read(&usage)).0.is_empty());
        usage.transactions.add(u64::MAX);
        usage.checked_out(Duration::from_secs(3_600));
        usage.refused(ErrorKind::Internal);
        let totals = Totals::read(&usage);
        assert!(totals.values().len() <= 1 + usize::from(u8::MAX), "a place is a byte");
        assert_eq!(Totals::from(&Packed::from(&totals)), totals);
    }
}
