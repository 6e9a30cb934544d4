//! TLS towards servers, by rustls: whom to trust, and how far to look at whoever answers.
//!
//! ```text
//! roots ─► verify ─► servers (one setting for all connections that are secured alike)
//! ```
//!
//! What this module must never do: go on in clear where TLS was to be, or offer a version below TLS 1.2 (rustls
//! cannot).

pub mod pem;
pub mod roots;
pub mod servers;
pub mod verify;
pub mod x509;

pub use servers::{ServerTls, ServerTlsSettings};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use std::sync::Arc;

/// Names the protocol in ALPN (<https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL>).
pub const ALPN_POSTGRES: &[u8] = b"postgresql";

/// Why a server cannot be reached as it is to be.
#[derive(Debug, thiserror::Error)]
pub enum ServerTlsError {
    /// The authorities that may have signed its certificate are of no use.
    #[error("the certificate authorities cannot be used: {0}")]
    Authorities(String),
    /// Its name can be no name in a certificate.
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
