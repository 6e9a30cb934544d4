//! Picks a cluster for a tenant and says why, for every cluster it looked at.
//!
//! Residency comes first and fails closed: a cluster outside the tenant's allowed regions is never
//! chosen, however empty. Among those that may take the tenant the emptiest by share of its capacity
//! wins, so clusters of different sizes fill evenly; the name breaks ties, so the choice can be repeated.

use serde::Serialize;
use std::cmp::Ordering;
use std::fmt;
use tenancy::{ClusterId, ClusterName, ClusterState, RegionName};
use utoipa::ToSchema;

/// What placement knows of one cluster.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) id: ClusterId,
    pub(crate) name: ClusterName,
    pub(crate) region: RegionName,
    pub(crate) state: ClusterState,
    /// Tenants that it may hold.
    pub(crate) capacity: u32,
    /// Tenants that it holds, those on their way in and out included.
    pub(crate) placed: u32,
}

/// What the tenant asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) region: &'a RegionName,
    pub(crate) allowed_regions: &'a [RegionName],
}

/// What was decided about one cluster, in words for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Verdict {
    /// The cluster.
    pub(crate) cluster: String,
    /// Whether it was chosen.
    pub(crate) chosen: bool,
    /// Why, or why not.
    pub(crate) reason: String,
}

/// The cluster chosen, and the reasons for it and against the others.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(crate) cluster: ClusterId,
    pub(crate) verdicts: Vec<Verdict>,
}

/// Why no cluster can take the tenant. The first that applies is the one to say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoPlace {
    /// The region asked for is none that the tenant allows.
    #[error("region \"{region}\" is not among the regions that the tenant allows")]
    RegionNotAllowed { region: RegionName },
    /// Nothing is registered in the region.
    #[error("no cluster is registered in region \"{region}\"")]
    NoCluster { region: RegionName },
    /// Every cluster of the region is full, draining or offline.
    #[error("no cluster in region \"{region}\" can take another tenant: {reasons}")]
    NoneFree { region: RegionName, reasons: String },
}

/// Chooses a cluster.
pub(crate) fn choose(candidates: &[Candidate], wish: Wish<'_>) -> Result<Choice, NoPlace> {
    if !wish.allowed_regions.contains(wish.region) {
        return Err(NoPlace::RegionNotAllowed { region: wish.region.clone() });
    }
    let best = candidates.iter().filter(|c| objection(c, wish).is_none()).min_by(|a, b| emptier(a, b));
    let Some(best) = best else { return Err(explain_refusal(candidates, wish)) };
    let verdicts = candidates.iter().map(|candidate| verdict(candidate, best, wish)).collect();
    Ok(Choice { cluster: best.id, verdicts })
}

/// Why this cluster cannot take the tenant at all.
fn objection(candidate: &Candidate, wish: Wish<'_>) -> Option<Objection> {
    if candidate.region != *wish.region {
        Some(Objection::OtherRegion)
    } else if candidate.state != ClusterState::Active {
        Some(Objection::State(candidate.state))
    } else if candidate.placed >= candidate.capacity {
        Some(Objection::Full(candidate.capacity))
    } else {
        None
    }
}

enum Objection {
    OtherRegion,
    State(ClusterState),
    Full(u32),
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherRegion => f.write_str("in another region"),
            Self::State(state) => write!(f, "{state}"),
            Self::Full(capacity) => write!(f, "full ({capacity} of {capacity})"),
        }
    }
}

/// Orders by filled share without dividing: a/b < c/d is a·d < c·b, and two u32 multiplied fit u64.
fn emptier(a: &Candidate, b: &Candidate) -> Ordering {
    let left = u64::from(a.placed) * u64::from(b.capacity);
    let right = u64::from(b.placed) * u64::from(a.capacity);
    left.cmp(&right).then_with(|| a.name.cmp(&b.name))
}

fn verdict(candidate: &Candidate, best: &Candidate, wish: Wish<'_>) -> Verdict {
    let filled = || format!("{} of {} tenants", candidate.placed, candidate.capacity);
    let (chosen, reason) = match objection(candidate, wish) {
        Some(objection) => (false, objection.to_string()),
        None if candidate.id == best.id => (true, format!("emptiest in its region: {}", filled())),
        None => (false, format!("fuller: {}", filled())),
    };
    Verdict { cluster: candidate.name.to_string(), chosen, reason }
}

fn explain_refusal(candidates: &[Candidate], wish: Wish<'_>) -> NoPlace {
    let region = wish.region.clone();
    let reasons: Vec<String> = candidates
        .iter()
        .filter(|candidate| candidate.region == region)
        .filter_map(|candidate| Some(format!("{} is {}", candidate.name, objection(candidate, wish)?)))
        .collect();
    if reasons.is_empty() {
        NoPlace::NoCluster { region }
    } else {
        NoPlace::NoneFree { region, reasons: reasons.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(name: &str, region: &str, placed: u32, capacity: u32) -> Candidate {
        Candidate {
            id: ClusterId::generate(),
            name: name.parse().unwrap(),
            region: region.parse().unwrap(),
            state: ClusterState::Active,
            capacity,
            placed,
        }
    }

    fn chosen(candidates: &[Candidate], region: &str, allowed: &[&str]) -> Result<String, NoPlace> {
        let region = region.parse().unwrap();
        let allowed: Vec<RegionName> = allowed.iter().map(|name| name.parse().unwrap()).collect();
        let choice = choose(candidates, Wish { region: &region, allowed_regions: &allowed })?;
        Ok(candidates.iter().find(|c| c.id == choice.cluster).unwrap().name.to_string())
    }

    #[test]
    fn the_emptiest_by_share_wins_and_the_name_breaks_ties() {
        let clusters =
            [cluster("eu-2", "eu", 5, 10), cluster("eu-1", "eu", 50, 1000), cluster("eu-0", "eu", 5, 100)];
        assert_eq!(chosen(&clusters, "eu", &["eu"]).unwrap(), "eu-0");
    }

    #[test]
    fn residency_fails_closed() {
        let clusters = [cluster("us-1", "us", 0, 10)];
        assert!(matches!(chosen(&clusters, "us", &["eu"]), Err(NoPlace::RegionNotAllowed { .. })));
        assert!(matches!(chosen(&clusters, "eu", &["eu", "us"]), Err(NoPlace::NoCluster { .. })));
        assert!(matches!(chosen(&clusters, "us", &[]), Err(NoPlace::RegionNotAllowed { .. })));
    }

    #[test]
    fn full_and_draining_clusters_take_nobody_and_the_refusal_says_which() {
        let mut draining = cluster("eu-2", "eu", 0, 10);
        draining.state = ClusterState::Draining;
        let refusal = chosen(&[cluster("eu-1", "eu", 10, 10), draining], "eu", &["eu"]).unwrap_err();
        let text = refusal.to_string();
        assert!(text.contains("eu-1 is full (10 of 10)") && text.contains("eu-2 is draining"), "{text}");
    }

    #[test]
    fn every_cluster_gets_a_verdict() {
        let clusters =
            [cluster("eu-1", "eu", 1, 10), cluster("eu-2", "eu", 2, 10), cluster("us-1", "us", 0, 10)];
        let (region, allowed) = ("eu".parse().unwrap(), vec!["eu".parse().unwrap()]);
        let choice = choose(&clusters, Wish { region: &region, allowed_regions: &allowed }).unwrap();
        let words: Vec<_> = choice.verdicts.iter().map(|v| (v.chosen, v.reason.as_str())).collect();
        assert_eq!(
            words,
            [
                (true, "emptiest in its region: 1 of 10 tenants"),
                (false, "fuller: 2 of 10 tenants"),
                (false, "in another region")
            ]
        );
    }

    #[test]
    fn a_cluster_without_capacity_takes_nobody() {
        assert!(matches!(
            chosen(&[cluster("eu-1", "eu", 0, 0)], "eu", &["eu"]),
            Err(NoPlace::NoneFree { .. })
        ));
    }
}
