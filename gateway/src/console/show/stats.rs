//! `SHOW STATS` and its relatives.

use crate::console::averages::Snapshot;
use crate::console::rows::{Column, Row, Rows, Value, columns};
use crate::resolve::Tenant;
use crate::shared::Shared;
use std::sync::Arc;
use std::time::Duration;

pub(super) const COLUMNS: &[Column] = columns! {
    database: Text,
    total_server_assignment_count: Numeric, total_xact_count: Numeric, total_query_count: Numeric,
    total_received: Numeric, total_sent: Numeric, total_xact_time: Numeric, total_query_time: Numeric,
    total_wait_time: Numeric, total_client_parse_count: Numeric, total_server_parse_count: Numeric,
    total_bind_count: Numeric, total_client_login_count: Numeric,
    avg_server_assignment_count: Numeric, avg_xact_count: Numeric, avg_query_count: Numeric,
    avg_recv: Numeric, avg_sent: Numeric, avg_xact_time: Numeric, avg_query_time: Numeric,
    avg_wait_time: Numeric, avg_client_parse_count: Numeric, avg_server_parse_count: Numeric,
    avg_bind_count: Numeric, avg_client_login_count: Numeric,
};

pub(super) const TOTALS: &[Column] = columns! {
    database: Text,
    server_assignment_count: Numeric, xact_count: Numeric, query_count: Numeric,
    bytes_received: Numeric, bytes_sent: Numeric, xact_time: Numeric, query_time: Numeric,
    wait_time: Numeric, client_parse_count: Numeric, server_parse_count: Numeric,
    bind_count: Numeric, client_login_count: Numeric,
};

pub(super) const AVERAGES: &[Column] = columns! {
    database: Text,
    server_assignment_count: Numeric, xact_count: Numeric, query_count: Numeric,
    bytes_received: Numeric, bytes_sent: Numeric, xact_time: Numeric, query_time: Numeric,
    wait_time: Numeric, avg_client_parse_count: Numeric, avg_server_parse_count: Numeric,
    avg_bind_count: Numeric, avg_client_login_count: Numeric,
};

pub(super) const ALL: &[Column] = columns! { name: Text, value: Numeric };

/// The names of `SHOW TOTALS`, in the order of [`Counts::values`].
const NAMES: [&str; 12] = [
    "server_assignment_count",
    "xact_count",
    "query_count",
    "client_bytes",
    "server_bytes",
    "xact_time",
    "query_time",
    "wait_time",
    "ps_client_parse_count",
    "ps_server_parse_count",
    "ps_bind_count",
    "client_login_count",
];

/// What one tenant has used, as far as PgBouncer has a column for it. Times are microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::console) struct Counts {
    assignments: u64,
    transactions: u64,
    received: u64,
    sent: u64,
    leased_us: u64,
    waited_us: u64,
    logins: u64,
}

impl Counts {
    /// A tenant's, now.
    pub(in crate::console) fn of(tenant: &Tenant) -> Self {
        let usage = tenant.usage();
        Self {
            assignments: usage.checkouts.get(),
            transactions: usage.transactions.get(),
            received: usage.bytes_to_server.get(),
            sent: usage.bytes_to_client.get(),
            leased_us: usage.leased_us.get(),
            waited_us: usage.checkout_wait_us.get(),
            logins: usage.logins.get(),
        }
    }

    fn combine(self, other: Self, operation: fn(u64, u64) -> u64) -> Self {
        Self {
            assignments: operation(self.assignments, other.assignments),
            transactions: operation(self.transactions, other.transactions),
            received: operation(self.received, other.received),
            sent: operation(self.sent, other.sent),
            leased_us: operation(self.leased_us, other.leased_us),
            waited_us: operation(self.waited_us, other.waited_us),
            logins: operation(self.logins, other.logins),
        }
    }

    /// Counts a second, and times an occurrence. A tenant that was forgotten meanwhile begins at 0 again.
    fn average_since(self, older: Self, elapsed: Duration) -> Self {
        let grown = self.combine(older, |now, then| now.checked_sub(then).unwrap_or(now));
        let rate = |count: u64| {
            let per_second = u128::from(count) * 1_000_000 / elapsed.as_micros().max(1);
            u64::try_from(per_second).unwrap_or(u64::MAX)
        };
        Self {
            assignments: rate(grown.assignments),
            transactions: rate(grown.transactions),
            received: rate(grown.received),
            sent: rate(grown.sent),
            leased_us: grown.leased_us.checked_div(grown.transactions).unwrap_or(0),
            waited_us: grown.waited_us.checked_div(grown.assignments).unwrap_or(0),
            logins: rate(grown.logins),
        }
    }

    /// In PgBouncer's order. Single statements are neither counted nor timed, nor are their Parses and Binds.
    fn values(self) -> [Value; 12] {
        [
            self.assignments.into(),
            self.transactions.into(),
            Value::Null,
            self.received.into(),
            self.sent.into(),
            self.leased_us.into(),
            Value::Null,
            self.waited_us.into(),
            Value::Null,
            Value::Null,
            Value::Null,
            self.logins.into(),
        ]
    }
}

/// A tenant's totals, and its averages.
struct Reading {
    name: Value,
    totals: Counts,
    averages: Counts,
}

fn read(tenant: &Tenant, base: &Snapshot) -> Option<Reading> {
    let totals = Counts::of(tenant);
    let averages = totals.average_since(base.of(tenant.id()), base.at.elapsed());
    let name = tenant.usage().label().into();
    (totals != Counts::default()).then_some(Reading { name, totals, averages })
}

/// One row for each tenant that has ever done anything here.
fn each(shared: &Shared, row: impl Fn(Reading) -> Row + Send + 'static) -> Rows {
    let base = shared.console.averages.base(&shared.routes);
    let tenants: Vec<Arc<Tenant>> = shared.routes.all();
    Box::new(tenants.into_iter().filter_map(move |tenant| read(&tenant, &base)).map(row))
}

pub(super) fn rows(shared: &Shared) -> Rows {
    each(shared, |reading| {
        let values = [reading.totals.values(), reading.averages.values()];
        std::iter::once(reading.name).chain(values.into_iter().flatten()).collect()
    })
}

pub(super) fn totals(shared: &Shared) -> Rows {
    each(shared, |reading| std::iter::once(reading.name).chain(reading.totals.values()).collect())
}

pub(super) fn averages(shared: &Shared) -> Rows {
    each(shared, |reading| std::iter::once(reading.name).chain(reading.averages.values()).collect())
}

pub(super) fn all(shared: &Shared) -> Rows {
    let base = shared.console.averages.base(&shared.routes);
    let add = u64::saturating_add;
    let (mut now, mut then) = (Counts::default(), Counts::default());
    for tenant in shared.routes.all() {
        now = now.combine(Counts::of(&tenant), add);
        then = then.combine(base.of(tenant.id()), add);
    }
    let average = now.average_since(then, base.at.elapsed());
    let named = |prefix: &'static str, counts: Counts| {
        NAMES
            .into_iter()
            .zip(counts.values())
            .map(move |(name, value)| vec![format!("{prefix}{name}").into(), value])
    };
    Box::new(named("total_", now).chain(named("avg_", average)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_count_a_second_and_time_an_occurrence() {
        let older = Counts { transactions: 10, assignments: 10, leased_us: 1_000, ..Counts::default() };
        let newer = Counts { transactions: 130, assignments: 70, leased_us: 13_000, waited_us: 600, ..older };
        let average = newer.average_since(older, Duration::from_secs(60));
        assert_eq!((average.transactions, average.assignments), (2, 1));
        assert_eq!((average.leased_us, average.waited_us), (100, 10));
        assert_eq!(Counts::default().average_since(older, Duration::ZERO), Counts::default());
    }

    #[test]
    fn a_row_has_a_value_for_each_column() {
        let values = Counts::default().values().len();
        assert_eq!(COLUMNS.len(), 1 + 2 * values);
        assert_eq!(TOTALS.len(), 1 + values);
        assert_eq!(AVERAGES.len(), 1 + values);
        assert_eq!(NAMES.len(), values);
    }
}
