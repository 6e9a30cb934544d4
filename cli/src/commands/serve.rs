//! `tenantry gateway` and `tenantry control-plane`: one process each, as operators run them.

use crate::dev::chain;
use crate::exit::{CommandError, Exit};
use crate::logging::{self, LogFormat};
use crate::signal::StopSignals;
use config::{ConfigError, ControlPlaneConfig, GatewayConfig};
use control_plane::ControlPlane;
use gateway::Gateway;
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;

/// What both servers take.
#[derive(Debug, clap::Args)]
pub(crate) struct ServeCommand {
    /// The configuration file; config/examples has an annotated one
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// How log lines look
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

impl ServeCommand {
    pub(crate) async fn gateway(self) -> Result<(), CommandError> {
        let config = GatewayConfig::load(&self.config).map_err(|error| wrong_config(&error))?;
        logging::to_stderr(self.log_format)?;
        let shutdown = on_signal()?;
        let gateway = Gateway::build(config).await.map_err(|error| failed(&error))?;
        gateway.run(shutdown).await.map_err(|error| failed(&error))
    }

    pub(crate) async fn control_plane(self) -> Result<(), CommandError> {
        let config = ControlPlaneConfig::load(&self.config).map_err(|error| wrong_config(&error))?;
        logging::to_stderr(self.log_format)?;
        let shutdown = on_signal()?;
        let control_plane = ControlPlane::build(config).await.map_err(|error| failed(&error))?;
        control_plane.run(shutdown).await.map_err(|error| failed(&error))
    }
}

/// Cancelled by the first signal; the second one ends the process at once, with a code that says so.
fn on_signal() -> Result<CancellationToken, CommandError> {
    let mut signals = StopSignals::listen()?;
    let shutdown = CancellationToken::new();
    let asked = shutdown.clone();
    tokio::spawn(async move {
        signals.received().await;
        asked.cancel();
        signals.received().await;
        tracing::warn!(
            "told to stop a second time: the process ends at once, and cuts off whoever is still served"
        );
        std::process::exit(Exit::Interrupted.code().into());
    });
    Ok(shutdown)
}

fn wrong_config(error: &ConfigError) -> CommandError {
    CommandError::new(Exit::Usage, error.to_string())
}

fn failed(error: &dyn std::error::Error) -> CommandError {
    CommandError::new(Exit::Failure, chain(error))
}
