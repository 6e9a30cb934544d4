//! Whether a domain is its tenant's: its TXT record at the name servers says so, or does not.
//!
//! Nothing is kept: a record that was added a moment ago is to be seen. Every look-up has a bound in time.

use config::DomainsConfig;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::{ResolverBuilder, TokioResolver};
use std::net::SocketAddr;
use std::time::Duration;
use tenancy::DomainName;

/// What stands in front of the domain that is to be proved. A name of its own: it gets in no other record's way.
const LABEL: &str = "_tenantry-challenge";

/// What stands in front of the challenge, for people who find the record.
const PREFIX: &str = "tenantry-verify=";

/// How long one name server has to answer, and how often it is asked.
const ANSWER_MAX: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;

/// The longest look-up.
const LOOK_UP_MAX: Duration = Duration::from_secs(8);

/// The name servers did not say whether there is a record.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unresolved {
    /// What they answered, or that they did not.
    #[error(transparent)]
    Net(#[from] NetError),
    /// It took too long.
    #[error("the name servers did not answer in time")]
    TimedOut,
}

/// The name of the record that proves a domain.
pub(crate) fn record_name(domain: &DomainName) -> String {
    format!("{LABEL}.{domain}")
}

/// What the record has to hold.
pub(crate) fn record_value(challenge: &str) -> String {
    format!("{PREFIX}{challenge}")
}

/// Asks name servers.
pub(crate) struct Proofs {
    resolver: TokioResolver,
}

impl Proofs {
    /// Asks the name server of the settings, or those of the system.
    pub(crate) fn new(settings: &DomainsConfig) -> Result<Self, Unresolved> {
        let mut builder = match settings.name_server {
            Some(address) => at(address),
            None => TokioResolver::builder_tokio()?,
        };
        let options = builder.options_mut();
        options.cache_size = 0;
        options.timeout = ANSWER_MAX;
        options.attempts = ATTEMPTS;
        Ok(Self { resolver: builder.build()? })
    }

    /// Does the domain's record hold the challenge?
    pub(crate) async fn look_up(&self, domain: &DomainName, challenge: &str) -> Result<bool, Unresolved> {
        let name = format!("{}.", record_name(domain));
        let looked_up = tokio::time::timeout(LOOK_UP_MAX, self.resolver.txt_lookup(name)).await;
        let answer = match looked_up.map_err(|_elapsed| Unresolved::TimedOut)? {
            Ok(answer) => answer,
            Err(error) if error.is_no_records_found() => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let expected = record_value(challenge);
        // A record's text may come in pieces of 255 bytes (RFC 1035 §3.3.14).
        let holds_it = |data: &RData| match data {
            RData::TXT(text) => text.txt_data.concat() == expected.as_bytes(),
            _ => false,
        };
        Ok(answer.answers().iter().any(|record| holds_it(&record.data)))
    }
}

fn at(address: SocketAddr) -> ResolverBuilder<TokioRuntimeProvider> {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    let server = NameServerConfig::new(address.ip(), true, connections.into());
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
}
