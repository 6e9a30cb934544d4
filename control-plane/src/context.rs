//! What every request handler and every operation shares. Narrow on purpose: each gets only this.

use crate::domains::Proofs;
use crate::inquiries::Inquiries;
use crate::metrics::Metrics;
use crate::operations::Progress;
use crate::people::People;
use crate::postgres::Clusters;
use crate::streams::Streams;
use catalog_schema::Catalog;
use config::{ApiLimits, GatewayEndpoint};
use identity::Jwks;
use std::sync::Arc;
use std::time::Duration;

/// The parts of a control plane that the API works with. Clones share them.
#[derive(Clone)]
pub(crate) struct ApiState {
    pub(crate) catalog: Catalog,
    /// The address of the gateways, for connection strings.
    pub(crate) gateway: Arc<GatewayEndpoint>,
    pub(crate) limits: ApiLimits,
    /// The keys of identity providers.
    pub(crate) jwks: Arc<Jwks>,
    pub(crate) metrics: Arc<Metrics>,
    /// Tells streams that some operation has moved on.
    pub(crate) progress: Progress,
    /// How long a renamed tenant's old name leads to it, where nobody says.
    pub(crate) keep_old_slug: Duration,
    /// Slugs that no tenant can take, beside those that none ever can.
    pub(crate) reserved_names: Arc<[String]>,
    /// Questions to tenants' identity providers.
    pub(crate) inquiries: Arc<Inquiries>,
    /// What proves domains.
    pub(crate) proofs: Arc<Proofs>,
    /// People who sign in.
    pub(crate) people: Arc<People>,
    /// Progress streams that are open.
    pub(crate) streams: Streams,
}

/// The parts that operations work with.
#[derive(Clone)]
pub(crate) struct EngineState {
    pub(crate) catalog: Catalog,
    pub(crate) clusters: Arc<Clusters>,
    pub(crate) metrics: Arc<Metrics>,
}
