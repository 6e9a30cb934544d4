//! All that `tenantry control-plane` can be told. `examples/control-plane.toml` shows it as a file.

use crate::catalog::read_file;
use crate::listen::TRUSTED_PROXIES_MAX;
use crate::resolve::is_label;
use crate::section::Section;
use crate::{
    CatalogConfig, CertificateFiles, ConfigError, DomainsConfig, IdentityConfig, MasterKeySource,
    PeopleConfig, StorageConfig, WorkerConfig, load,
};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use tenancy::{AddressRange, Secret};

/// A shorter operator token could be guessed: it is the key to everything.
const OPERATOR_TOKEN_BYTES_MIN: usize = 16;

/// A control plane's settings. `Default` suits a developer's machine, but for its operator token,
/// which is empty and must be set.
#[derive(Debug, Clone)]
pub struct ControlPlaneConfig {
    /// `listen`: the API's address, `127.0.0.1:8081`. Port 0 picks a free one.
    pub listen: SocketAddr,
    /// `[tls]`: the API's certificate, none; in clear then. The files are looked at every ten seconds.
    pub tls: Option<CertificateFiles>,
    /// `[catalog]`
    pub catalog: CatalogConfig,
    /// `master_key_file` or `master_key_env`
    pub master_key: MasterKeySource,
    /// The content of the file that `operator_token_file` names, or `TENANTRY_OPERATOR_TOKEN`, which
    /// wins. Whoever holds it may do everything: at least 16 bytes, made by a machine. Required.
    pub operator_token: Secret,
    /// `keep_old_slug_s`: how long a renamed tenant is still reached by its old name, seconds, 604,800 (seven days), unless
    /// whoever renames it says otherwise. Nobody else gets the name meanwhile.
    pub keep_old_slug_s: u64,
    /// `reserved_names`: slugs that no tenant can take, none. They come on top of those that none ever can, such as `www`,
    /// `app`, `api` and `admin`. The same as the gateways' `resolve.reserved_names`: a tenant of such a name would not be
    /// reached by its host.
    pub reserved_names: Vec<String>,
    /// `trusted_proxies`: addresses of proxies that are believed whom they pass on (`X-Forwarded-For`, `Forwarded`), as
    /// ranges, none. A proxy that is missing here counts as the client of all that come through it.
    pub trusted_proxies: Vec<AddressRange>,
    /// `[gateway_endpoint]`
    pub gateway_endpoint: GatewayEndpoint,
    /// `[worker]`
    pub worker: WorkerConfig,
    /// `[limits]`
    pub limits: ApiLimits,
    /// `[identity]`
    pub identity: IdentityConfig,
    /// `[people]`
    pub people: PeopleConfig,
    /// `[domains]`
    pub domains: DomainsConfig,
    /// `[storage]`
    pub storage: StorageConfig,
}

/// The address under which clients reach the gateways, as it stands in the connection strings that
/// are handed out. A wrong one breaks nothing here: it is only told, never dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayEndpoint {
    /// `gateway_endpoint.pg_host`: host name or address, `127.0.0.1`.
    pub pg_host: String,
    /// `gateway_endpoint.pg_port`: 6432.
    pub pg_port: u16,
    /// `gateway_endpoint.http_url`: without the path, `http://127.0.0.1:8080`.
    pub http_url: String,
}

/// What the API takes from one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiLimits {
    /// `limits.body_bytes_max`: a request's body, bytes, 1,048,576. It is held in memory.
    pub body_bytes_max: usize,
    /// `limits.header_bytes_max`: all headers of a request together, bytes, 16,384.
    pub header_bytes_max: usize,
    /// `limits.request_timeout_ms`: one request, but for streams of progress, milliseconds, 30,000.
    pub request_timeout_ms: u64,
    /// `limits.wrong_tokens_per_minute`: wrong tokens that one address may show before it has to wait, 120. For an
    /// IPv6 address: those of its /64 together.
    pub wrong_tokens_per_minute: u32,
    /// `limits.connections_max`: connections at once, 512; the next waits in the kernel's queue.
    pub connections_max: usize,
    /// `limits.connections_per_address`: of them from one address, 128; the next is closed at once, so that nobody keeps all
    /// the others out. For an IPv6 address: those of its /64 together. Of a trusted proxy all are taken.
    pub connections_per_address: usize,
}

impl Default for ControlPlaneConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
            tls: None,
            catalog: CatalogConfig::default(),
            master_key: MasterKeySource::default(),
            operator_token: Secret::new(String::new()),
            keep_old_slug_s: 7 * 24 * 60 * 60,
            reserved_names: Vec::new(),
            trusted_proxies: Vec::new(),
            gateway_endpoint: GatewayEndpoint::default(),
            worker: WorkerConfig::default(),
            limits: ApiLimits::default(),
            identity: IdentityConfig::default(),
            people: PeopleConfig::default(),
            domains: DomainsConfig::default(),
            storage: StorageConfig::default(),
        }
    }
}

impl Default for GatewayEndpoint {
    fn default() -> Self {
        Self { pg_host: "127.0.0.1".to_owned(), pg_port: 6432, http_url: "http://127.0.0.1:8080".to_owned() }
    }
}

impl Default for ApiLimits {
    fn default() -> Self {
        Self {
            body_bytes_max: 1024 * 1024,
            header_bytes_max: 16 * 1024,
            request_timeout_ms: 30_000,
            wrong_tokens_per_minute: 120,
            connections_max: 512,
            connections_per_address: 128,
        }
    }
}

impl ControlPlaneConfig {
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

    /// [`Self::keep_old_slug_s`] as a duration.
    #[must_use]
    pub const fn keep_old_slug(&self) -> Duration {
        Duration::from_secs(self.keep_old_slug_s)
    }

    fn read(root: &mut Section<'_>) -> Self {
        let defaults = Self::default();
        Self {
            listen: root.text("listen", defaults.listen),
            tls: read_tls(root.section("tls")),
            catalog: CatalogConfig::read(root.section("catalog")),
            master_key: MasterKeySource::read_from(root),
            operator_token: read_operator_token(root).unwrap_or(defaults.operator_token),
            keep_old_slug_s: root.number("keep_old_slug_s", defaults.keep_old_slug_s, &(0..=31_536_000)),
            reserved_names: read_reserved_names(root, defaults.reserved_names),
            trusted_proxies: read_trusted_proxies(root, defaults.trusted_proxies),
            gateway_endpoint: GatewayEndpoint::read(root.section("gateway_endpoint")),
            worker: WorkerConfig::read(root.section("worker")),
            limits: ApiLimits::read(root.section("limits")),
            identity: IdentityConfig::read(root.section("identity")),
            people: PeopleConfig::read(root.section("people")),
            domains: DomainsConfig::read(root.section("domains")),
            storage: StorageConfig::read(root.section("storage")),
        }
    }
}

fn read_reserved_names(root: &mut Section<'_>, defaults: Vec<String>) -> Vec<String> {
    let names = root.words("reserved_names", defaults);
    if !names.iter().all(|name| is_label(name)) {
        root.problem("reserved_names", "must be single labels of a host name, in lower case");
    }
    names
}

fn read_trusted_proxies(root: &mut Section<'_>, defaults: Vec<AddressRange>) -> Vec<AddressRange> {
    let proxies = root.words("trusted_proxies", defaults);
    if proxies.len() > TRUSTED_PROXIES_MAX {
        root.problem("trusted_proxies", format!("must be {TRUSTED_PROXIES_MAX} ranges at most"));
    }
    proxies
}

/// `tls.cert_file` and `tls.key_file`: both, or neither.
fn read_tls(mut section: Section<'_>) -> Option<CertificateFiles> {
    let (cert_file, key_file) = (section.optional("cert_file"), section.optional("key_file"));
    for (key, missing) in [("cert_file", cert_file.is_none()), ("key_file", key_file.is_none())] {
        if missing && (cert_file.is_some() || key_file.is_some()) {
            section.problem(key, "is missing: a certificate and its key belong together");
        }
    }
    section.finish();
    Some(CertificateFiles { cert_file: cert_file?, key_file: key_file? })
}

fn read_operator_token(root: &mut Section<'_>) -> Option<Secret> {
    let from_environment = root.in_environment("operator_token").map(Secret::new);
    if root.discard("operator_token") {
        root.problem("operator_token", "does not stand in this file: use operator_token_file");
    }
    let token = match from_environment {
        Some(token) => {
            root.discard("operator_token_file");
            token
        }
        None if root.gives("operator_token_file") => read_file(root, "operator_token_file")?,
        None => {
            let hint = "set operator_token_file in the file, or TENANTRY_OPERATOR_TOKEN";
            root.problem("operator_token", format!("is missing ({hint})"));
            return None;
        }
    };
    let length = token.expose().len();
    if length < OPERATOR_TOKEN_BYTES_MIN {
        root.problem(
            "operator_token",
            format!("must be at least {OPERATOR_TOKEN_BYTES_MIN} bytes long, this one has {length}"),
        );
    }
    Some(token)
}

impl GatewayEndpoint {
    fn read(mut section: Section<'_>) -> Self {
        let defaults = Self::default();
        let endpoint = Self {
            pg_host: section.text("pg_host", defaults.pg_host),
            pg_port: section.number("pg_port", defaults.pg_port, &(1..=u16::MAX)),
            http_url: section.text::<String>("http_url", defaults.http_url).trim_end_matches('/').to_owned(),
        };
        // It becomes part of a URL as it stands.
        let host_character = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        if endpoint.pg_host.is_empty() || !endpoint.pg_host.chars().all(host_character) {
            section.problem("pg_host", "must be a host name or an address");
        }
        if !["http://", "https://"].iter().any(|scheme| endpoint.http_url.starts_with(scheme)) {
            section.problem("http_url", "must begin with http:// or https://");
        }
        section.finish();
        endpoint
    }
}

impl ApiLimits {
    /// [`Self::request_timeout_ms`] as a duration.
    #[must_use]
    pub const fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    fn read(mut section: Section<'_>) -> Self {
        let defaults = Self::default();
        let limits = Self {
            body_bytes_max: section.number("body_bytes_max", defaults.body_bytes_max, &(1_024..=67_108_864)),
            header_bytes_max: section.number(
                "header_bytes_max",
                defaults.header_bytes_max,
                &(1_024..=1_048_576),
            ),
            request_timeout_ms: section.number(
                "request_timeout_ms",
                defaults.request_timeout_ms,
                &(100..=600_000),
            ),
            wrong_tokens_per_minute: section.number(
                "wrong_tokens_per_minute",
                defaults.wrong_tokens_per_minute,
                &(1..=1_000_000),
            ),
            connections_max: section.number("connections_max", defaults.connections_max, &(16..=65_536)),
            connections_per_address: section.number(
                "connections_per_address",
                defaults.connections_per_address,
                &(1..=65_536),
            ),
        };
        section.finish();
        limits
    }
}
