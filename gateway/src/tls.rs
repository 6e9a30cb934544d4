//! TLS, towards clients and towards servers, by rustls.
//!
//! ```text
//! clients   files ─► certificate ─► certificates (which one?) ─► acceptor ─► ClientStream
//!                        ▲ reload: again, when the files have changed
//! servers   net::tls ─► servers (one setting for all pools of a cluster) ─► ServerStream
//! ```
//!
//! What this module must never do: go on in clear where TLS was to be; take a bad new file in place of a good old
//! certificate; tell a key to anybody; offer a version below TLS 1.2 (rustls cannot).

pub mod acceptor;
pub mod certificate;
pub mod certificates;
pub mod files;
pub mod reload;
pub mod servers;

pub use acceptor::{Acceptor, TlsFacts};
pub use net::tls::{ALPN_POSTGRES, provider, roots, x509};
pub use servers::{ServerTls, ServerTlsSettings};

use std::io;
use std::path::PathBuf;

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
    /// What a cluster's connections are to be secured with is of no use.
    #[error(transparent)]
    Server(#[from] net::tls::ServerTlsError),
    /// The pieces do not fit together.
    #[error("the TLS settings cannot be used")]
    Settings(#[from] rustls::Error),
}
