//! What an operator may set, as types that need no further check.
//!
//! Each area has one file, which says what every setting means, what it is when nobody sets it and
//! what happens when it is too big or too small. Settings come from a TOML file; every key can be
//! overridden by an environment variable (`pool.idle_timeout_ms` by `TENANTRY_POOL_IDLE_TIMEOUT_MS`).
//! One run reports every mistake with its key. `examples/` holds an annotated file for each process.
//!
//! This crate never opens a connection, never keeps a value it could not check, and never prints a
//! secret: those come from files or the environment and live in [`tenancy::Secret`].

pub mod cancel;
pub mod catalog;
pub mod console;
pub mod control_plane;
pub mod domains;
pub mod error;
pub mod gateway;
pub mod http;
pub mod identity;
pub mod limits;
pub mod listen;
pub mod master_key;
pub mod metrics;
pub mod people;
pub mod pool;
pub mod prepared;
pub mod resolve;
pub mod routes;
pub mod state;
pub mod storage;
pub mod timeouts;
pub mod tls;
pub mod worker;

mod load;
mod section;

pub use cancel::CancelConfig;
pub use catalog::CatalogConfig;
pub use console::{ConsoleConfig, ConsoleLogin, ConsoleRole, ConsoleUser};
pub use control_plane::{ApiLimits, ControlPlaneConfig, GatewayEndpoint};
pub use domains::DomainsConfig;
pub use error::{ConfigError, Problem};
pub use gateway::GatewayConfig;
pub use http::{HttpConfig, StatementComment};
pub use identity::IdentityConfig;
pub use limits::LimitsConfig;
pub use listen::{GatewayListen, ProxiedListener};
pub use master_key::{MasterKeySource, SecretUnreadable};
pub use metrics::MetricsConfig;
pub use people::PeopleConfig;
pub use pool::{PoolConfig, SessionModeRequests};
pub use prepared::PreparedConfig;
pub use resolve::ResolveConfig;
pub use routes::RouteCacheConfig;
pub use state::{ListenPolicy, StateConfig, StatePolicy};
pub use storage::StorageConfig;
pub use timeouts::TimeoutsConfig;
pub use tls::{CertificateFiles, ClientAuth, TlsConfig, TlsListenerMode, TlsVersion};
pub use worker::WorkerConfig;
