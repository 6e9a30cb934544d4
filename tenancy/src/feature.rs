//! Features: what a tenant may use, each switched by a flag of its name.
//!
//! ```text
//! the tenant's own ─► its plan's ─► the percentage ─► the default
//! ```
//!
//! The first that says anything is heeded. A plan is asked before the percentage: what a plan leaves out on purpose is
//! not handed out by chance.

use crate::{PlanName, TenantId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// A feature that the gateway itself asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BuiltIn {
    /// SQL over HTTP.
    Http,
    /// The PostgreSQL protocol over a WebSocket.
    WebSocket,
    /// Keeping a server connection for as long as a client is connected.
    SessionMode,
    /// LISTEN.
    Listen,
}

impl BuiltIn {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Http, Self::WebSocket, Self::SessionMode, Self::Listen];

    /// The feature's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::WebSocket => "websocket",
            Self::SessionMode => "session-mode",
            Self::Listen => "listen",
        }
    }

    /// Whether tenants have it where nobody has said anything.
    #[must_use]
    pub const fn by_default(self) -> bool {
        true
    }
}

/// A part of all tenants, in whole percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Percentage(u8);

/// The number is no percentage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a percentage is a whole number from 0 to 100")]
pub struct NotAPercentage;

impl TryFrom<u8> for Percentage {
    type Error = NotAPercentage;
    fn try_from(number: u8) -> Result<Self, NotAPercentage> {
        if number <= 100 { Ok(Self(number)) } else { Err(NotAPercentage) }
    }
}

impl From<Percentage> for u8 {
    fn from(percentage: Percentage) -> Self {
        percentage.0
    }
}

/// Why a tenant has a feature, or has it not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// It was said of this tenant.
    Tenant,
    /// It was said of its plan.
    Plan,
    /// It is among the percentage that has it.
    Percentage,
    /// Nothing was said.
    Default,
}

impl Reason {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Plan => "plan",
            Self::Percentage => "percentage",
            Self::Default => "default",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who has a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// Whether tenants have it of whom nothing else is said.
    pub by_default: bool,
    /// The part of tenants that has it all the same. Who has it by a percentage has it by every higher one.
    pub percentage: Percentage,
    /// What is said of plans.
    pub plans: Vec<(PlanName, bool)>,
}

impl Rollout {
    /// Does this tenant have the feature of this name, and why? `own` is what was said of the tenant itself.
    #[must_use]
    pub fn decide(
        &self,
        feature: &str,
        tenant: TenantId,
        plan: &PlanName,
        own: Option<bool>,
    ) -> (bool, Reason) {
        if let Some(is_on) = own {
            return (is_on, Reason::Tenant);
        }
        if let Some((_, is_on)) = self.plans.iter().find(|(of, _)| of == plan) {
            return (*is_on, Reason::Plan);
        }
        if self.percentage.0 > 0 && place(feature, tenant) < self.percentage.0 {
            return (true, Reason::Percentage);
        }
        (self.by_default, Reason::Default)
    }
}

/// Where the tenant stands among a hundred for this feature; the same for ever, and for each feature another.
fn place(feature: &str, tenant: TenantId) -> u8 {
    let mut hash = Sha256::new();
    hash.update(feature.as_bytes());
    hash.update([0]);
    hash.update(tenant.as_uuid().as_bytes());
    let hash = hash.finalize();
    let number = hash.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    u8::try_from(number % 100).expect("a remainder of a hundred is less than that")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn rollout(percentage: u8) -> Rollout {
        let percentage = percentage.try_into().expect("a percentage");
        Rollout { by_default: false, percentage, plans: Vec::new() }
    }

    fn plan(name: &str) -> PlanName {
        name.parse().expect(name)
    }

    #[test]
    fn who_is_asked_first_is_heeded() {
        let tenant = TenantId::generate();
        let mut all = rollout(100);
        all.plans = vec![(plan("free"), false)];
        assert_eq!(all.decide("x", tenant, &plan("free"), Some(true)), (true, Reason::Tenant));
        assert_eq!(all.decide("x", tenant, &plan("free"), None), (false, Reason::Plan));
        assert_eq!(all.decide("x", tenant, &plan("pro"), None), (true, Reason::Percentage));
        all.percentage = Percentage::default();
        assert_eq!(all.decide("x", tenant, &plan("pro"), None), (false, Reason::Default));
    }

    /// Every gateway and the control plane have to agree, of every release.
    #[test]
    fn the_place_of_a_tenant_is_for_ever() {
        let tenant = |number: u128| TenantId::from(Uuid::from_u128(number));
        let places = [place("beta", tenant(1)), place("beta", tenant(2)), place("other", tenant(1))];
        assert_eq!(places, [80, 49, 52]);
    }

    #[test]
    fn a_percentage_is_about_that_part_of_tenants() {
        let tenants: Vec<_> = (0..10_000).map(|number| TenantId::from(Uuid::from_u128(number))).collect();
        for percentage in [1, 10, 50, 99] {
            let rollout = rollout(percentage);
            let count = tenants.iter().filter(|id| rollout.decide("x", **id, &plan("free"), None).0).count();
            let expected = usize::from(percentage) * 100;
            assert!(count.abs_diff(expected) < 200, "{count} of {percentage} %");
        }
        assert!(!rollout(0).decide("x", tenants[0], &plan("free"), None).0);
    }

    proptest! {
        #[test]
        fn nobody_loses_a_feature_by_a_higher_percentage(id: u128, name in "[a-z]{1,9}", low in 0_u8..=100, more in 0_u8..=100) {
            let tenant = TenantId::from(Uuid::from_u128(id));
            let has = |percentage| rollout(percentage).decide(&name, tenant, &plan("free"), None).0;
            prop_assert!(!has(low) || has(low.saturating_add(more).min(100)));
            prop_assert!(has(100));
        }
    }
}
