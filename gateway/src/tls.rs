//! TLS, towards clients and towards servers, by rustls.
//!
//! ```text
//! clients   files ─► certificate ─► certificates (which one?) ─► acceptor ─► ClientStream
//!                        ▲ reload: again, when the files have changed
//! servers   roots ─► verify ─► servers (one setting for all pools of a cluster) ─► ServerStream
//! ```
//!
//! What this module must never do: go on in clear where TLS was to be; take a bad new file in place of a good old
//! certificate; tell a key to anybody; offer a version below TLS 1.2 (rustls cannot).

pub mod acceptor;
pub mod certificate;
pub mod certificates;
pub mod files;
pub mod reload;
pub mod roots;
pub mod servers;
pub mod verify;
pub mod x509;

pub use acceptor::{Acceptor, TlsFacts};
pub use servers::{ServerTls, ServerTlsSettings};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Names the protocol in ALPN (<https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL>).
pub const ALPN_POSTGRES: &[u8] = b"postgresql";

/// Why a certificate, a key or a set of them cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there, not ours to read, or too large.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file is there and of no use.
    #[error("{path} {what}")]
    Unusable {
        /// Which.
        path: PathBuf,
        /// What is the matter with it. Never anything of a key.
        what: String,
    },
    /// A cluster's authorities are of no use.
    #[error("the cluster's certificate authorities cannot be used: {0}")]
    Authorities(String),
    /// A server's name can be no name in a certificate.
    #[error("\"{0}\" can be the name of no server")]
    ServerName(String),
    /// The pieces do not fit together.
    #[error("the TLS settings cannot be used")]
    Settings(#[from] rustls::Error),
}

/// The one implementation of cryptography in this process. Others that bring their own would have rustls stop at the
/// ambiguity, so ours is made everybody's.
pub fn provider() -> Arc<CryptoProvider> {
    if CryptoProvider::get_default().is_none() {
        // Another thread may have been first, with the same.
        let _ = aws_lc_rs::default_provider().install_default();
    }
    let installed = CryptoProvider::get_default();
    installed.map_or_else(|| Arc::new(aws_lc_rs::default_provider()), Arc::clone)
}
