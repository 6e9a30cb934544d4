//! How connections to a cluster are to be secured, as a request says it.

use super::super::extract::field;
use super::super::problem::{ApiResult, Problem, ProblemKind};
use catalog_schema::ClusterTls;
use tenancy::TlsMode;

/// A chain of authorities takes a few KiB; every route of the cluster carries it.
const CA_BYTES_MAX: usize = 64 * 1024;

/// DNS allows no longer name (RFC 1035 §2.3.4).
const SERVER_NAME_BYTES_MAX: usize = 253;

/// What a request says.
pub(super) struct Wanted {
    pub(super) mode: Option<String>,
    pub(super) ca: Option<String>,
    pub(super) server_name: Option<String>,
}

/// The same, checked. Empty text still stands for "none".
pub(super) struct Checked {
    pub(super) mode: Option<TlsMode>,
    pub(super) ca: Option<String>,
    pub(super) server_name: Option<String>,
}

/// Checks each part by itself.
pub(super) fn checked(wanted: Wanted) -> ApiResult<Checked> {
    let mode = wanted.mode.map(|word| field("tls_mode", &word)).transpose()?;
    check_length("tls_ca", wanted.ca.as_deref(), CA_BYTES_MAX)?;
    check_length("tls_server_name", wanted.server_name.as_deref(), SERVER_NAME_BYTES_MAX)?;
    Ok(Checked { mode, ca: wanted.ca, server_name: wanted.server_name })
}

/// For a new cluster: what is left out is as strict as can be.
pub(super) fn chosen(wanted: Wanted) -> ApiResult<ClusterTls> {
    let Checked { mode, ca, server_name } = checked(wanted)?;
    let some = |text: Option<String>| text.filter(|text| !text.is_empty());
    Ok(ClusterTls { mode: mode.unwrap_or_default(), ca: some(ca), server_name: some(server_name) })
}

fn check_length(name: &str, text: Option<&str>, max: usize) -> ApiResult<()> {
    if text.is_none_or(|text| text.len() <= max) {
        return Ok(());
    }
    let detail = format!("{name} is at most {max} bytes long");
    Err(Problem::new(ProblemKind::InvalidField).detail(detail).field(name))
}
