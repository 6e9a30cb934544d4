//! All that `tenantry gateway` can be told. `examples/gateway.toml` shows it as a file.

use crate::section::Section;
use crate::{
    CancelConfig, CatalogConfig, ConfigError, ConsoleConfig, GatewayListen, HttpConfig, IdentityConfig,
    LimitsConfig, MasterKeySource, MetricsConfig, PoolConfig, PreparedConfig, ResolveConfig,
    RouteCacheConfig, StateConfig, TimeoutsConfig, TlsConfig, load,
};
use serde::Serialize;
use std::path::Path;
use std::time::Duration;
use tenancy::RegionName;

/// A gateway's settings. As a whole they can be shown: what is secret, or leads to it, is left out. `Default` suits a developer's machine.
#[derive(Debug, Clone, Serialize)]
pub struct GatewayConfig {
    /// `name`: what this gateway is called in metrics and in the catalog's list, `gateway`. Two with
    /// the same name are told apart by their ids.
    pub name: String,
    /// `region`: where this gateway stands. Reported with its heartbeat, and not yet held against
    /// the regions that tenants allow: those bind their clusters only. Required.
    pub region: RegionName,
    /// `[listen]`
    pub listen: GatewayListen,
    /// `[tls]`
    pub tls: TlsConfig,
    /// `[catalog]`
    pub catalog: CatalogConfig,
    /// `master_key_file` or `master_key_env`
    #[serde(skip)]
    pub master_key: MasterKeySource,
    /// `[routes]`
    pub routes: RouteCacheConfig,
    /// `[resolve]`
    pub resolve: ResolveConfig,
    /// `[pool]`
    pub pool: PoolConfig,
    /// `[prepared]`
    pub prepared: PreparedConfig,
    /// `[identity]`
    pub identity: IdentityConfig,
    /// `[limits]`
    pub limits: LimitsConfig,
    /// `[http]`
    pub http: HttpConfig,
    /// `[timeouts]`
    pub timeouts: TimeoutsConfig,
    /// `[cancel]`
    pub cancel: CancelConfig,
    /// `[console]`
    pub console: ConsoleConfig,
    /// `[state]`
    pub state: StateConfig,
    /// `[metrics]`
    pub metrics: MetricsConfig,
    /// `drain_delay_ms`: after the signal to stop, how long everything goes on as before but for `/readyz`, milliseconds,
    /// 0. Load balancers need some time to see that; Kubernetes takes a few seconds to tell every node.
    pub drain_delay_ms: u64,
    /// `drain_timeout_ms`: after that, how long running transactions may take to end, and clients that keep a server
    /// connection may stay, milliseconds, 30,000. What is left is cut off. Both together, and five seconds, must be
    /// shorter than the time the supervisor waits before it kills.
    pub drain_timeout_ms: u64,
    /// `worker_threads`: threads that serve connections; one per core if it is not set. More than
    /// cores only costs.
    pub worker_threads: Option<usize>,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            name: "gateway".to_owned(),
            region: "eu".parse().expect("a lower-case word is a region name"),
            listen: GatewayListen::default(),
            tls: TlsConfig::default(),
            catalog: CatalogConfig::default(),
            master_key: MasterKeySource::default(),
            routes: RouteCacheConfig::default(),
            resolve: ResolveConfig::default(),
            pool: PoolConfig::default(),
            prepared: PreparedConfig::default(),
            identity: IdentityConfig::default(),
            limits: LimitsConfig::default(),
            http: HttpConfig::default(),
            timeouts: TimeoutsConfig::default(),
            cancel: CancelConfig::default(),
            console: ConsoleConfig::default(),
            state: StateConfig::default(),
            metrics: MetricsConfig::default(),
            drain_delay_ms: 0,
            drain_timeout_ms: 30_000,
            worker_threads: None,
        }
    }
}

impl GatewayConfig {
    /// Reads the file at `path`, with the process's environment over it.
    ///
    /// # Errors
    /// Lists everything that is wrong, each with its key.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        load::load(path, |text| Self::parse(text, load::process_environment))
    }

    /// Reads `text`, with `environment` over it.
    ///
    /// # Errors
    /// Lists everything that is wrong, each with its key.
    pub fn parse(text: &str, environment: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        load::parse(text, &environment, Self::read)
    }

    /// [`Self::drain_delay_ms`] as a duration.
    #[must_use]
    pub const fn drain_delay(&self) -> Duration {
        Duration::from_millis(self.drain_delay_ms)
    }

    /// [`Self::drain_timeout_ms`] as a duration.
    #[must_use]
    pub const fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout_ms)
    }

    fn read(root: &mut Section<'_>) -> Self {
        let defaults = Self::default();
        let name: String = root.text("name", defaults.name);
        if name.is_empty() || name.len() > 63 || name.chars().any(char::is_control) {
            root.problem("name", "must be 1 to 63 bytes of text without control characters");
        }
        Self {
            name,
            region: root.required("region", defaults.region),
            listen: GatewayListen::read(root.section("listen")),
            tls: TlsConfig::read(root.section("tls")),
            catalog: CatalogConfig::read(root.section("catalog")),
            master_key: MasterKeySource::read_from(root),
            routes: RouteCacheConfig::read(root.section("routes")),
            resolve: ResolveConfig::read(root.section("resolve")),
            pool: PoolConfig::read(root.section("pool")),
            prepared: PreparedConfig::read(root.section("prepared")),
            identity: IdentityConfig::read(root.section("identity")),
            limits: LimitsConfig::read(root.section("limits")),
            http: HttpConfig::read(root.section("http")),
            timeouts: TimeoutsConfig::read(root.section("timeouts")),
            cancel: CancelConfig::read(root.section("cancel")),
            console: ConsoleConfig::read(root.section("console")),
            state: StateConfig::read(root.section("state")),
            metrics: MetricsConfig::read(root.section("metrics")),
            drain_delay_ms: root.number("drain_delay_ms", defaults.drain_delay_ms, &(0..=600_000)),
            drain_timeout_ms: root.number("drain_timeout_ms", defaults.drain_timeout_ms, &(0..=3_600_000)),
            worker_threads: root.optional_number("worker_threads", &(1..=1_024)),
        }
    }
}
