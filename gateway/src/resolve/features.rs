//! Who has which features, as far as that is no single tenant's matter: the features document, which [`super::follow`]
//! keeps current. With it and a tenant's route every question about features is answered here, and nobody is asked.

use arc_swap::ArcSwapOption;
use catalog_schema::{FeaturesDocument, OwnFeature, RouteRecord};
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tenancy::{BuiltIn, Reason, Revision, Rollout};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long clients of a gateway that has just started wait for its first look at the catalog.
const FIRST_READ_MAX: Duration = Duration::from_secs(3);

/// The features document as it was read last; none before the catalog was first reached.
#[derive(Default)]
pub struct Features {
    known: ArcSwapOption<Known>,
    was_read: CancellationToken,
}

struct Known {
    version: Revision,
    rollouts: HashMap<Box<str>, Rollout>,
}

/// A feature, and whether a tenant has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Which.
    pub feature: Box<str>,
    /// Whether the tenant has it.
    pub is_on: bool,
    /// Why.
    pub reason: Reason,
}

impl Features {
    /// Does the catalog say something else by now? It may also have been restored to what it said before.
    #[must_use]
    pub fn is_behind(&self, version: Revision) -> bool {
        self.known.load().as_ref().is_none_or(|known| known.version != version)
    }

    /// Puts a newer document in force.
    pub fn replace(&self, document: FeaturesDocument) {
        let FeaturesDocument { version, features } = document;
        tracing::info!(version = version.get(), features = features.len(), "the features document changed");
        let rollouts = features.into_iter().map(|(name, rollout)| (name.as_str().into(), rollout)).collect();
        self.known.store(Some(Arc::new(Known { version, rollouts })));
        self.was_read.cancel();
    }

    /// Resolves once there is something to go by. A gateway that has just started takes a moment; when it takes longer,
    /// what the gateway has by itself holds.
    pub async fn first_read(&self) {
        if self.known.load().is_none() {
            let _in_time = timeout(FIRST_READ_MAX, self.was_read.cancelled()).await;
        }
    }

    /// Has the tenant of this route what the gateway itself asks for?
    #[must_use]
    pub fn has(&self, feature: BuiltIn, route: &RouteRecord) -> bool {
        let known = self.known.load();
        let rollout = known.as_ref().and_then(|known| known.rollouts.get(feature.as_str()));
        rollout.map_or(feature.by_default(), |rollout| decide(feature.as_str(), rollout, route).0)
    }

    /// All features, by name, and whether the tenant of this route has them.
    #[must_use]
    pub fn of(&self, route: &RouteRecord) -> Vec<Verdict> {
        let known = self.known.load();
        let rollouts = known.as_ref().map(|known| known.rollouts.iter()).into_iter().flatten();
        let mut verdicts: Vec<_> = rollouts
            .map(|(feature, rollout)| {
                let (is_on, reason) = decide(feature, rollout, route);
                Verdict { feature: feature.clone(), is_on, reason }
            })
            .collect();
        verdicts.sort_unstable_by(|one, other| one.feature.cmp(&other.feature));
        verdicts
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.known.load().as_ref().map_or(0, |known| known.rollouts.len())
    }
}

fn decide(feature: &str, rollout: &Rollout, route: &RouteRecord) -> (bool, Reason) {
    rollout.decide(feature, route.tenant_id, &route.plan, own(feature, &route.features))
}

/// What was said of the tenant itself. The clock is only looked at where it matters.
fn own(feature: &str, all: &[OwnFeature]) -> Option<bool> {
    let own = all.iter().find(|own| own.feature.as_str() == feature)?;
    let holds = own.expires_at.is_none() || own.holds_at(Timestamp::now());
    holds.then_some(own.is_on)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::tests::route;
    use tenancy::{FeatureName, Percentage};

    fn name(text: &str) -> FeatureName {
        text.parse().expect(text)
    }

    fn document(features: &[(&str, bool)]) -> FeaturesDocument {
        let rollout =
            |by_default| Rollout { by_default, percentage: Percentage::default(), plans: Vec::new() };
        let features = features.iter().map(|(of, by_default)| (name(of), rollout(*by_default))).collect();
        FeaturesDocument { version: Revision::new(7), features }
    }

    #[test]
    fn what_nobody_has_said_anything_of_is_as_the_gateway_has_it() {
        let features = Features::default();
        assert!(features.is_behind(Revision::new(0)));
        assert!(features.has(BuiltIn::Http, &route()));
        features.replace(document(&[("http", false)]));
        assert!(!features.is_behind(Revision::new(7)) && features.is_behind(Revision::new(6)));
        assert!(!features.has(BuiltIn::Http, &route()) && features.has(BuiltIn::Listen, &route()));
    }

    #[test]
    fn what_is_a_tenants_own_holds_until_it_expires() {
        let features = Features::default();
        features.replace(document(&[("beta", false), ("alpha", false)]));
        let now = Timestamp::now();
        let hour = jiff::Span::new().hours(1);
        for (expires_at, is_on) in [(None, true), (Some(now + hour), true), (Some(now - hour), false)] {
            let own = OwnFeature { feature: name("beta"), is_on: true, expires_at };
            let route = RouteRecord { features: vec![own], ..route() };
            let of = features.of(&route);
            let told: Vec<_> = of.iter().map(|verdict| (&*verdict.feature, verdict.is_on)).collect();
            assert_eq!(told, [("alpha", false), ("beta", is_on)]);
        }
    }
}
