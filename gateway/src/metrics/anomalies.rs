//! Clients that name two different tenants, counted by the places that disagree.

use super::Counter;
use tenancy::Source;

/// Where clients come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// The PostgreSQL protocol.
    Pg,
    /// SQL over HTTP.
    Http,
}

impl Listener {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Pg, Self::Http];

    /// The setting that holds its address, below `listen`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pg => "pg",
            Self::Http => "http",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Pg => 0,
            Self::Http => 1,
        }
    }

    /// May this source name a tenant here?
    fn has(self, source: Source) -> bool {
        match self {
            Self::Pg => source == Source::Token || Source::WIRE.contains(&source),
            Self::Http => matches!(source, Source::Token | Source::ApiKey) || Source::HTTP.contains(&source),
        }
    }
}

const SOURCES: usize = Source::ALL.len();

/// How often two places have named different tenants.
#[derive(Debug)]
pub struct Anomalies(Vec<Counter>);

impl Default for Anomalies {
    fn default() -> Self {
        Self((0..Listener::ALL.len() * SOURCES * SOURCES).map(|_| Counter::default()).collect())
    }
}

impl Anomalies {
    /// `first` was looked up, and `second` disagrees.
    pub fn count(&self, listener: Listener, first: Source, second: Source) {
        self.0[place(listener, first, second)].inc();
    }

    /// How often each pair disagreed, those that never did too.
    #[must_use]
    pub fn read(&self) -> Vec<AnomalyCount> {
        let mut counts = Vec::new();
        for listener in Listener::ALL {
            let sources = || Source::ALL.into_iter().filter(move |source| listener.has(*source));
            for first in sources() {
                counts.extend(sources().map(|second| AnomalyCount {
                    listener,
                    first,
                    second,
                    count: self.0[place(listener, first, second)].get(),
                }));
            }
        }
        counts
    }
}

/// How often one pair of places disagreed.
#[derive(Debug, Clone, Copy)]
pub struct AnomalyCount {
    /// Where the clients came in.
    pub listener: Listener,
    /// What was looked up.
    pub first: Source,
    /// What disagreed with it.
    pub second: Source,
    /// How often.
    pub count: u64,
}

fn place(listener: Listener, first: Source, second: Source) -> usize {
    let of = |source| Source::ALL.iter().position(|other| *other == source).unwrap_or_default();
    (listener.index() * SOURCES + of(first)) * SOURCES + of(second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pair_of_a_listener_is_counted_by_itself() {
        let anomalies = Anomalies::default();
        anomalies.count(Listener::Http, Source::ApiKey, Source::Host);
        anomalies.count(Listener::Pg, Source::User, Source::Database);
        let counted: Vec<_> = anomalies
            .read()
            .into_iter()
            .filter(|pair| pair.count > 0)
            .map(|pair| (pair.listener, pair.first, pair.second, pair.count))
            .collect();
        let expected = [
            (Listener::Pg, Source::User, Source::Database, 1),
            (Listener::Http, Source::ApiKey, Source::Host, 1),
        ];
        assert_eq!(counted, expected);
    }
}
