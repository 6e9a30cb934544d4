//! What is shown of TLS with clients.

use super::readings::TlsReading;
use crate::metrics::family::{Family, Spec};
use std::collections::BTreeMap;

static HANDSHAKES: Spec =
    Spec::counter("tenantry_tls_handshakes_total", &["result"], "TLS handshakes with clients, by outcome.");
static RELOADS: Spec = Spec::counter(
    "tenantry_tls_reloads_total",
    &["result"],
    "Changes of the certificates' files, by whether what they hold now could be taken into use.",
);
static EXPIRY: Spec = Spec::gauge(
    "tenantry_tls_certificate_expiry_timestamp_seconds",
    &["cert_file"],
    "When the certificate in use stops being good, in seconds since 1970.",
);

/// The families; without rows when there is no TLS.
pub(super) fn families(reading: Option<&TlsReading>) -> Vec<Family> {
    let [mut handshakes, mut reloads, mut expiry] = [&HANDSHAKES, &RELOADS, &EXPIRY].map(Family::new);
    if let Some(reading) = reading {
        for (family, counts) in [(&mut handshakes, reading.handshakes), (&mut reloads, reading.reloads)] {
            ["succeeded", "failed"]
                .iter()
                .zip(counts)
                .for_each(|(result, count)| family.push(&[result], count));
        }
        // A file may be listed twice; a series must not be.
        let by_file: BTreeMap<&str, u64> =
            reading.certificates.iter().map(|(file, not_after)| (file.as_str(), *not_after)).collect();
        by_file.into_iter().for_each(|(file, not_after)| expiry.push(&[file], not_after));
    }
    vec![handshakes, reloads, expiry]
}
