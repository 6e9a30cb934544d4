//! Telling the control plane about the stack's regions and clusters, through its API.

use super::servers::Named;
use super::{ClusterSpec, DevError};
use crate::client::{ApiError, Client, path};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tenancy::TlsMode;

/// The control plane listens already; it may still be connecting to the catalog.
const ATTEMPTS_MAX: u32 = 50;
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// The servers listen on the loopback interface alone, and have no certificates.
const TLS_MODE: TlsMode = TlsMode::Disable;

/// Registers what is new, and tells new addresses of what is known.
pub(super) async fn register(
    client: &Client,
    specs: &[ClusterSpec],
    servers: &[Named],
) -> Result<(), DevError> {
    let known = await_clusters(client).await?;
    for spec in specs {
        let body = json!({ "name": spec.region, "jurisdiction": spec.region });
        match client.change(Method::POST, &path(&["regions"]), Some(&body)).await {
            Ok(_) => {}
            Err(error) if error.kind() == Some("region-exists") => {}
            Err(source) => {
                return Err(DevError::Register { what: format!("region {}", spec.region), source });
            }
        }
    }
    for (spec, named) in specs.iter().zip(servers) {
        let is_known = known.iter().any(|cluster| cluster["name"] == spec.name);
        let dsn = named.server.dsn("postgres");
        let outcome = if is_known {
            let body = json!({ "admin_dsn": dsn.expose(), "tls_mode": TLS_MODE });
            client.change(Method::PATCH, &path(&["clusters", &spec.name]), Some(&body)).await
        } else {
            let body = json!({
                "name": spec.name,
                "region": spec.region,
                "admin_dsn": dsn.expose(),
                "tls_mode": TLS_MODE,
                "connection_budget": spec.connection_budget,
                "capacity": spec.capacity,
            });
            client.change(Method::POST, &path(&["clusters"]), Some(&body)).await
        };
        outcome.map_err(|source| DevError::Register { what: format!("cluster {}", spec.name), source })?;
    }
    Ok(())
}

async fn await_clusters(client: &Client) -> Result<Vec<Value>, DevError> {
    let mut attempt = 1;
    loop {
        match client.list(&path(&["clusters"])).await {
            Ok(clusters) => return Ok(clusters),
            Err(error) if attempt < ATTEMPTS_MAX && is_starting(&error) => {
                tokio::time::sleep(RETRY_PAUSE).await;
            }
            Err(source) => return Err(DevError::Register { what: "the clusters".to_owned(), source }),
        }
        attempt += 1;
    }
}

fn is_starting(error: &ApiError) -> bool {
    matches!(error, ApiError::Unreachable { .. }) || error.kind() == Some("catalog-unavailable")
}
