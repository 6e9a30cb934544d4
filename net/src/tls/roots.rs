//! Whom the system trusts.

use rustls::RootCertStore;

/// The authorities that the operating system trusts, for clusters that name none of their own. Those, rather than a
/// list that is compiled in: operators keep their own authorities there, and withdraw bad ones. Blocks.
#[must_use]
pub fn of_the_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        tracing::warn!("the system names no certificate authorities: clusters need a CA of their own");
    }
    tracing::debug!(added, ignored, "read the system's certificate authorities");
    roots
}
