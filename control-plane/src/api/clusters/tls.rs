//! How connections to a cluster are to be secured, as a request says it.

use super::super::extract::field;
use super::super::problem::{ApiResult, Problem, ProblemKind};
use catalog_schema::{ClusterPatch, ClusterTls};
use net::tls::verify::Authorities;
use rustls::pki_types::ServerName;
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

/// Checks each part by itself. Whether a server fits them is not tried: gateways may reach it where we do not.
pub(super) fn checked(wanted: Wanted) -> ApiResult<Checked> {
    let Wanted { mode, ca, server_name } = wanted;
    let mode = mode.map(|word| field("tls_mode", &word)).transpose()?;
    check_length("tls_ca", ca.as_deref(), CA_BYTES_MAX)?;
    check_length("tls_server_name", server_name.as_deref(), SERVER_NAME_BYTES_MAX)?;
    if let Some(pem) = some(&ca) {
        Authorities::from_pem(pem).map_err(|why| invalid("tls_ca", why.to_string()))?;
    }
    if let Some(name) = some(&server_name) {
        ServerName::try_from(name)
            .map_err(|_bad| invalid("tls_server_name", "it can be the name of no server".to_owned()))?;
    }
    Ok(Checked { mode, ca, server_name })
}

/// What holds for a cluster once `patch` is applied.
pub(super) fn after(known: &ClusterTls, patch: &ClusterPatch) -> ClusterTls {
    let text = |new: &Option<String>, old: &Option<String>| match new {
        Some(_) => some(new).map(str::to_owned),
        None => old.clone(),
    };
    ClusterTls {
        mode: patch.tls_mode.unwrap_or(known.mode),
        ca: text(&patch.tls_ca, &known.ca),
        server_name: text(&patch.tls_server_name, &known.server_name),
    }
}

/// Empty text stands for none.
fn some(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

fn invalid(name: &str, detail: String) -> Problem {
    Problem::new(ProblemKind::InvalidField).detail(detail).field(name)
}

/// For a new cluster: what is left out is as strict as can be.
pub(super) fn chosen(wanted: Wanted) -> ApiResult<ClusterTls> {
    let Checked { mode, ca, server_name } = checked(wanted)?;
    let owned = |text: &Option<String>| some(text).map(str::to_owned);
    Ok(ClusterTls { mode: mode.unwrap_or_default(), ca: owned(&ca), server_name: owned(&server_name) })
}

fn check_length(name: &str, text: Option<&str>, max: usize) -> ApiResult<()> {
    if text.is_none_or(|text| text.len() <= max) {
        return Ok(());
    }
    Err(invalid(name, format!("{name} is at most {max} bytes long")))
}
