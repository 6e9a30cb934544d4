//! Places that name different tenants: refused, and counted by the pair of them.

use crate::axes::Combination;
use crate::axes::{Case, Kind, Way};
use crate::combinations::AT_ONCE;
use crate::world::World;
use crate::{Answer, STACK, Visit};
use futures_util::{StreamExt, stream};
use std::collections::BTreeMap;
use tenancy::Source;

const METRIC: &str = "tenantry_cross_tenant_anomalies_total{";

/// How often two places disagreed, by the metric's labels.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Anomalies(BTreeMap<String, u64>);

impl Anomalies {
    /// As the gateway says now.
    pub(crate) async fn read() -> Self {
        let metrics = STACK.metrics().await;
        let series = metrics.lines().filter_map(|line| line.strip_prefix(METRIC)?.split_once("} "));
        Self(series.map(|(labels, count)| (labels.to_owned(), count.parse().expect("a count"))).collect())
    }

    /// What has come on top.
    pub(crate) fn since(self, before: &Self) -> Self {
        let more = self.0.into_iter().map(|(labels, count)| {
            let before = before.0.get(&labels).copied().unwrap_or_default();
            (labels, count - before)
        });
        Self(more.filter(|(_, count)| *count > 0).collect())
    }

    pub(crate) fn add(&mut self, way: Way, first: Source, second: Source) {
        let labels = format!("listener=\"{}\",first=\"{first}\",second=\"{second}\"", way.as_str());
        *self.0.entry(labels).or_default() += 1;
    }

    /// In which pairs it differs from this one.
    pub(crate) fn unlike(&self, expected: &Self) -> Vec<String> {
        let pairs = self.0.keys().chain(expected.0.keys().filter(|pair| !self.0.contains_key(*pair)));
        let count = |counts: &Self, pair: &String| counts.0.get(pair).copied().unwrap_or_default();
        pairs
            .map(|pair| (pair, count(self, pair), count(expected, pair)))
            .filter(|(_, found, expected)| found != expected)
            .map(|(pair, found, expected)| format!("anomalies {pair}: counted {found}, expected {expected}"))
            .collect()
    }
}

/// Each two places of a listener that a client can use at once, in the order in which they are asked.
pub(crate) fn pairs() -> impl Iterator<Item = (Way, Source, Source)> {
    let sources = [(Way::Http, &Source::HTTP[..]), (Way::Wire, &Source::WIRE[..])];
    let pairs = sources.into_iter().flat_map(|(way, sources)| {
        let firsts = sources.iter().enumerate();
        firsts.flat_map(move |(at, first)| sources[at + 1..].iter().map(move |second| (way, *first, *second)))
    });
    // TLS is given one name.
    pairs.filter(|(_, first, second)| (*first, *second) != (Source::ServerName, Source::CustomDomain))
}

/// Two places agree, or no tenant is served.
pub(crate) async fn any_two_places(world: &World) -> Vec<String> {
    let (mut expected, before) = (Anomalies::default(), Anomalies::read().await);
    for (way, first, second) in pairs() {
        expected.add(way, first, second);
    }
    let told = stream::iter(pairs()).map(|(way, first, second)| two_places(world, way, first, second));
    let mut wrong: Vec<String> = told.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await.concat();
    wrong.extend(Anomalies::read().await.since(&before).unlike(&expected));
    wrong
}

async fn two_places(world: &World, way: Way, first: Source, second: Source) -> Vec<String> {
    let kind = match way {
        Way::Http => Kind::ServiceForAll,
        Way::Wire => Kind::Password,
    };
    let visit = |case| Visit {
        way,
        names: vec![(first, World::named(Case::Right)), (second, World::named(case))],
        proof: world.proof(Combination { way, source: first, kind, case: Case::Right }),
    };
    let (same, other) = (visit(Case::Right).pay().await, visit(Case::Other).pay().await);
    let mut wrong = Vec::new();
    if !matches!(&same, Answer::In(database) if Some(database.as_str()) == world.database(Case::Right)) {
        wrong.push(format!("{first} and {second} agree, and hear {same:?}"));
    }
    match &other {
        Answer::Refused { status: None | Some(403), sqlstate, .. } if sqlstate == "28000" => {}
        _ => wrong.push(format!("{first} and {second} disagree, and hear {other:?}")),
    }
    wrong
}
