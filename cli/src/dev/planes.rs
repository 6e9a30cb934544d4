//! The control plane and the gateway as tasks of this process.

use super::DevError;
use config::{ControlPlaneConfig, GatewayConfig};
use control_plane::ControlPlane;
use gateway::{Addresses, Gateway};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Longer than either plane drains for.
const STOP_DEADLINE: Duration = Duration::from_secs(15);

/// One running plane.
#[derive(Debug)]
pub(super) struct Plane {
    name: &'static str,
    shutdown: CancellationToken,
    /// `None` once its end has been seen.
    task: Option<JoinHandle<Result<(), String>>>,
}

impl Plane {
    fn spawn<F, E>(name: &'static str, run: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::error::Error,
    {
        let shutdown = CancellationToken::new();
        let running = run(shutdown.clone());
        let task = tokio::spawn(async move { running.await.map_err(|error| chain(&error)) });
        Self { name, shutdown, task: Some(task) }
    }

    /// Lets it finish what it is doing, and waits for its end; cuts it off when that takes too long.
    pub(super) async fn stop(mut self) -> Result<(), DevError> {
        self.shutdown.cancel();
        if let Ok(outcome) = timeout(STOP_DEADLINE, self.ended()).await {
            return outcome;
        }
        if let Some(task) = &self.task {
            task.abort();
        }
        let reason = format!("it did not stop within {} s", STOP_DEADLINE.as_secs());
        Err(DevError::Plane { plane: self.name, reason })
    }

    /// Waits until it ends by itself. Before anybody asked for it that is an error.
    pub(super) async fn ended(&mut self) -> Result<(), DevError> {
        let failed = |reason| DevError::Plane { plane: self.name, reason };
        let Some(task) = &mut self.task else { return Ok(()) };
        let outcome = task.await;
        self.task = None;
        match outcome {
            Ok(Ok(())) if self.shutdown.is_cancelled() => Ok(()),
            Ok(Ok(())) => Err(failed("it stopped by itself".to_owned())),
            Ok(Err(reason)) => Err(failed(reason)),
            Err(panicked) => Err(failed(panicked.to_string())),
        }
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

pub(super) async fn start_gateway(config: GatewayConfig) -> Result<(Plane, Addresses), DevError> {
    let built = Gateway::build(config).await;
    let gateway = built.map_err(|error| DevError::Plane { plane: "gateway", reason: chain(&error) })?;
    let addresses = gateway.addresses();
    Ok((Plane::spawn("gateway", |shutdown| gateway.run(shutdown)), addresses))
}

pub(super) async fn start_control_plane(config: ControlPlaneConfig) -> Result<(Plane, SocketAddr), DevError> {
    let built = ControlPlane::build(config).await;
    let control_plane =
        built.map_err(|error| DevError::Plane { plane: "control plane", reason: chain(&error) })?;
    let address = control_plane.local_addr();
    Ok((Plane::spawn("control plane", |shutdown| control_plane.run(shutdown)), address))
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let reason = error.to_string();
        if !text.contains(&reason) {
            text = format!("{text}: {reason}");
        }
        cause = error.source();
    }
    text
}
