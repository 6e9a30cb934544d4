//! What this gateway knows of the installation itself: who may vouch for clients. [`super::follow`] keeps it current.

use super::domains::Domains;
use super::features::Features;
use crate::error::Refusal;
use arc_swap::ArcSwapOption;
use catalog_schema::{IdentityDocument, ServiceRecord};
use identity::OwnKey;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tenancy::{DomainName, ErrorKind, Issuer, IssuerId, Revision, ServiceId, TenantId};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long clients of a gateway that has just started wait for its first look at the catalog. Well below what a login may
/// take.
const FIRST_READ_MAX: Duration = Duration::from_secs(3);

/// The identity document as it was read last; none before the catalog was first reached.
#[derive(Default)]
pub struct Installation {
    known: ArcSwapOption<Known>,
    domains: Arc<Domains>,
    features: Features,
    /// Cancelled when there is something to wait for no longer.
    was_read: CancellationToken,
}

/// What an identity document says, ready to be asked.
pub struct Known {
    version: Revision,
    issuers: HashMap<Box<str>, Arc<Issuer>>,
    own_keys: Vec<OwnKey>,
    services: HashMap<[u8; 32], ServiceRecord>,
    domains: Arc<Domains>,
    issuer_versions: HashMap<IssuerId, i64>,
    service_hashes: HashMap<ServiceId, [u8; 32]>,
}

impl Installation {
    /// Whose the verified domains are. Known before the rest is.
    #[must_use]
    pub fn domains(&self) -> &Domains {
        &self.domains
    }

    /// Who has which features.
    #[must_use]
    pub const fn features(&self) -> &Features {
        &self.features
    }

    /// What is known now; `None` before the catalog was first reached.
    #[must_use]
    pub fn known(&self) -> Option<Arc<Known>> {
        self.known.load_full()
    }

    /// What is known now. A gateway that has just started takes a moment to know it.
    ///
    /// # Errors
    /// [`ErrorKind::CatalogUnavailable`] when the catalog was not reached by then.
    pub async fn known_or_refuse(&self) -> Result<Arc<Known>, Refusal> {
        if self.known.load().is_none() {
            let _in_time = timeout(FIRST_READ_MAX, self.was_read.cancelled()).await;
        }
        self.known().ok_or_else(|| {
            Refusal::new(ErrorKind::CatalogUnavailable, "the tenant catalog cannot be reached")
                .hint("try again in a moment")
        })
    }

    /// Does the catalog say something else by now? It may also have been restored to what it said before.
    #[must_use]
    pub fn is_behind(&self, version: Revision) -> bool {
        self.known.load().as_ref().is_none_or(|known| known.version != version)
    }

    /// Puts a newer document in force.
    pub fn replace(&self, document: IdentityDocument) {
        tracing::info!(
            version = document.version.get(),
            issuers = document.issuers.len(),
            signing_keys = document.signing_keys.len(),
            services = document.services.len(),
            "the identity document changed"
        );
        self.known.store(Some(Arc::new(Known::of(document, Arc::clone(&self.domains)))));
        self.was_read.cancel();
    }
}

impl Known {
    fn of(document: IdentityDocument, domains: Arc<Domains>) -> Self {
        let issuer_versions = document.issuers.iter().map(|issuer| (issuer.id, issuer.version)).collect();
        let service_hashes = document.services.iter().map(|service| (service.id, service.hash)).collect();
        let by_name = |issuer: Arc<Issuer>| (Box::from(issuer.iss.as_str()), issuer);
        let own_keys = document.signing_keys.into_iter().map(|key| OwnKey {
            id: key.id.to_string(),
            public: key.public_key,
            verifies_until: u64::try_from(key.verifies_until.as_second()).unwrap_or(0),
        });
        Self {
            version: document.version,
            issuers: document.issuers.into_iter().map(by_name).collect(),
            own_keys: own_keys.collect(),
            services: document.services.into_iter().map(|service| (service.hash, service)).collect(),
            domains,
            issuer_versions,
            service_hashes,
        }
    }

    /// The installation's issuer of this name.
    #[must_use]
    pub fn issuer(&self, iss: &str) -> Option<&Arc<Issuer>> {
        self.issuers.get(iss)
    }

    /// Is this one of the installation's issuers, unchanged?
    #[must_use]
    pub fn has_issuer(&self, id: IssuerId, version: i64) -> bool {
        self.issuer_versions.get(&id) == Some(&version)
    }

    /// The service credential whose key has this hash. It may have expired.
    #[must_use]
    pub fn service(&self, hash: &[u8; 32]) -> Option<&ServiceRecord> {
        self.services.get(hash)
    }

    /// The service credential with this id. It may have expired.
    #[must_use]
    pub fn service_of(&self, id: ServiceId) -> Option<&ServiceRecord> {
        self.services.get(self.service_hashes.get(&id)?)
    }

    /// Whose own the domain is; nobody's, if there is none.
    #[must_use]
    pub fn owner_of(&self, domain: &DomainName) -> Option<TenantId> {
        self.domains.owner_of(domain)
    }

    /// Is this a key of the control plane's, be it one that signs no more? One that got into other hands is not.
    #[must_use]
    pub fn has_own_key(&self, id: &str) -> bool {
        self.own_keys.iter().any(|key| key.id == id)
    }

    /// The control plane's public keys, those too whose signatures are believed no more.
    #[must_use]
    pub fn own_keys(&self) -> &[OwnKey] {
        &self.own_keys
    }
}
