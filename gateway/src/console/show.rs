//! What `SHOW` shows: one file a kind of thing.
//!
//! Columns that PgBouncer has come first, in its order, with its names and types; ours follow. A column whose
//! meaning we do not have is NULL, or 0 where the thing it counts cannot happen here; docs/console.md says
//! which and why.

mod addresses;
mod clients;
mod clusters;
mod config;
mod databases;
mod lists;
mod pools;
mod route;
mod servers;
mod stats;
mod tenants;
mod waits;

pub(super) use route::no_such_tenant;
pub(super) use stats::Counts;

use super::command::Subject;
use super::failure::Failure;
use super::rows::{Column, Rows};
use crate::shared::Shared;
use std::sync::Arc;

/// The columns of a subject; `None` for help, which is a notice.
pub(super) fn columns(subject: Subject) -> Option<&'static [Column]> {
    Some(match subject {
        Subject::Addresses => addresses::COLUMNS,
        Subject::Clients => clients::COLUMNS,
        Subject::Clusters => clusters::COLUMNS,
        Subject::Config => config::COLUMNS,
        Subject::Databases => databases::COLUMNS,
        Subject::Help => return None,
        Subject::Lists => lists::LISTS,
        Subject::Mem => lists::MEM,
        Subject::Pools => pools::COLUMNS,
        Subject::Route => route::COLUMNS,
        Subject::Servers => servers::COLUMNS,
        Subject::State => lists::STATE,
        Subject::Stats => stats::COLUMNS,
        Subject::StatsAverages => stats::AVERAGES,
        Subject::StatsTotals => stats::TOTALS,
        Subject::Tenants => tenants::COLUMNS,
        Subject::Totals => stats::ALL,
        Subject::Users => lists::USERS,
        Subject::Version => lists::VERSION,
    })
}

/// The rows of a subject. What there is, is looked up now; what each is like, when its row is sent.
///
/// # Errors
/// There is no such tenant, or it cannot be looked up.
pub(super) async fn rows(
    subject: Subject,
    tenant: Option<&str>,
    shared: &Arc<Shared>,
) -> Result<Rows, Failure> {
    Ok(match subject {
        Subject::Addresses => addresses::rows(shared),
        Subject::Clients => clients::rows(shared),
        Subject::Clusters => clusters::rows(shared),
        Subject::Config => config::rows(shared),
        Subject::Databases => databases::rows(shared),
        Subject::Help => Box::new(std::iter::empty()),
        Subject::Lists => lists::lists(shared),
        Subject::Mem => lists::mem(shared),
        Subject::Pools => pools::rows(shared),
        Subject::Route => route::rows(tenant.unwrap_or_default(), shared).await?,
        Subject::Servers => servers::rows(shared),
        Subject::State => lists::state(shared),
        Subject::Stats => stats::rows(shared),
        Subject::StatsAverages => stats::averages(shared),
        Subject::StatsTotals => stats::totals(shared),
        Subject::Tenants => tenants::rows(shared),
        Subject::Totals => stats::all(shared),
        Subject::Users => lists::users(shared),
        Subject::Version => lists::version(),
    })
}
