//! Routes: all that a gateway needs to reach a tenant, in one look-up, and what changed since.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::read::domains::ChangedDomains;
use crate::read::features::OwnFeature;
use crate::read::issuers::ExternalId;
use crate::read::logins::{Logins, RoleLogin};
use crate::read::revocations::RevokedTokens;
use crate::read::route_row;
use crate::row::Columns;
use crate::sql::{bigint, bytes, text, uuid};
use jiff::Timestamp;
use std::sync::Arc;
use tenancy::{
    Access, AddressRange, ClusterId, ClusterName, ClusterState, CredentialId, DatabaseName, DomainName,
    Generation, Isolation, Issuer, KeyScope, Limits, PlanName, PoolMode, RegionName, Revision, Role, Slug,
    StorageStanding, TenantId, TenantState, TlsMode, UserName,
};
use tokio_postgres::Row;

/// A tenant as a gateway sees it, all of one moment.
#[derive(Debug, Clone)]
pub struct RouteRecord {
    /// Who.
    pub tenant_id: TenantId,
    /// The name it goes by.
    pub slug: Slug,
    /// Names that it went by until lately and is still reached under.
    pub aliases: Vec<Slug>,
    /// Whether it is served.
    pub state: TenantState,
    /// What it has bought.
    pub plan: PlanName,
    /// How it is kept apart from the others.
    pub isolation: Isolation,
    /// Rises with every change of the route.
    pub generation: Generation,
    /// Where it is at home.
    pub region: RegionName,
    /// Where its data and its connections may be.
    pub allowed_regions: Vec<RegionName>,
    /// The limits in force: the plan's, with the tenant's own over them.
    pub limits: Limits,
    /// How it stands with its storage quota, as of its last measurement and these limits.
    pub storage: StorageStanding,
    /// Rises whenever its login roles were given other settings: a server connection that was opened before began with
    /// the former ones.
    pub settings_epoch: i64,
    /// Where its data is; none before it was placed, and while its role has no keys.
    pub placement: Option<PlacementRecord>,
    /// What opens it: neither revoked nor expired when this was read, the oldest first. The reader
    /// watches later expiry itself.
    pub credentials: Vec<CredentialRecord>,
    /// The features that were given to it or taken from it, whatever its plan says. The reader watches their expiry
    /// itself. At most [`crate::OWN_FEATURES_MAX`].
    pub features: Vec<OwnFeature>,
    /// From where it may be reached; from everywhere if there is none. At most [`crate::ALLOW_LIST_MAX`].
    pub allow_list: Vec<AddressRange>,
    /// Gateway tokens for it that are refused before their time, of those that could still be shown. About 1,024 at most.
    pub revoked: Vec<RevokedTokens>,
    /// Its own identity providers, which may vouch for it and nobody else. At most 8.
    pub issuers: Vec<Arc<Issuer>>,
    /// What identity providers call it. At most 32.
    pub external_ids: Vec<ExternalId>,
}

/// The place of a tenant's data, and the way in.
#[derive(Debug, Clone)]
pub struct PlacementRecord {
    /// The server. Whoever keeps many routes lets those to one server share it.
    pub cluster: Arc<ClusterRecord>,
    /// The database on it.
    pub database: DatabaseName,
    /// The database's oid, once it is known. A database of the same name with another oid is not it.
    pub database_oid: Option<u32>,
    /// The roles to log in as.
    pub logins: Logins,
}

impl PlacementRecord {
    /// The role to log in as for this access; none while it is being made.
    #[must_use]
    pub const fn login(&self, access: Access) -> Option<&RoleLogin> {
        self.logins.of(access)
    }
}

/// A PostgreSQL server as a gateway sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterRecord {
    /// Which.
    pub id: ClusterId,
    /// What people call it.
    pub name: ClusterName,
    /// Where it stands.
    pub region: RegionName,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// What the server calls itself (`pg_control_system()`); another server at its address has another.
    pub system_identifier: String,
    /// The most server connections that gateways may hold to it together.
    pub connection_budget: u32,
    /// Whether it is served.
    pub state: ClusterState,
    /// How connections to it are secured.
    pub tls: ClusterTls,
    /// Rises with every change of the cluster: of two records the one with the lower is the older.
    pub version: i64,
}

/// How connections to a cluster are secured.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ClusterTls {
    /// What is demanded.
    pub mode: TlsMode,
    /// The certificates of the authorities that may have signed the server's, in PEM; none stands for those that the
    /// system trusts.
    pub ca: Option<String>,
    /// The name that the server's certificate is for, where that is not its host.
    pub server_name: Option<String>,
}

/// Something that opens a tenant.
#[derive(Debug, Clone)]
pub struct CredentialRecord {
    /// Which.
    pub id: CredentialId,
    /// What its holder may do.
    pub role: Role,
    /// From when on it opens nothing.
    pub expires_at: Option<Timestamp>,
    /// How long its clients keep a server connection, unless they say so themselves.
    pub pool_mode: Option<PoolMode>,
    /// How it is checked.
    pub kind: CredentialKind,
}

/// How a credential is checked. Neither kind can be turned back into what its holder has.
#[derive(Clone)]
pub enum CredentialKind {
    /// A user and a password.
    Password {
        /// The user to log in as.
        user: UserName,
        /// `SCRAM-SHA-256$…`, as PostgreSQL writes it.
        verifier: String,
    },
    /// A key that says by itself which tenant it opens.
    ApiKey {
        /// Its first characters, for people to tell keys apart.
        prefix: String,
        /// SHA-256 of the whole key.
        hash: [u8; 32],
        /// What it is good for.
        scope: KeyScope,
    },
}

impl std::fmt::Debug for CredentialKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Password { user, .. } => write!(f, "Password({user})"),
            Self::ApiKey { prefix, .. } => write!(f, "ApiKey({prefix})"),
        }
    }
}

/// What happened to routes since some revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteChanges {
    /// The revision that this answer brings its reader to.
    pub revision: Revision,
    /// What changed up to it.
    pub changed: Changed,
    /// The revision at which the identity document changed last.
    pub identity: Revision,
    /// The revision at which the features document changed last.
    pub features: Revision,
    /// Which domains changed up to it.
    pub domains: ChangedDomains,
}

/// Whose routes changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// These tenants', each named once. Empty when nothing changed.
    Tenants(Vec<TenantId>),
    /// Possibly everybody's: a cluster or plan changed, or too much happened, or too long ago.
    Everything,
}

/// More tenants than this and it is cheaper to take every route for changed.
const CHANGED_TENANTS_MAX: i64 = 1_000;

/// More domains than this and it is cheaper to read them all.
const CHANGED_DOMAINS_MAX: i64 = 1_000;

impl Catalog {
    /// The tenant that is reached under `slug`: its name, or one that it had until lately.
    ///
    /// # Errors
    /// When the catalog is unavailable, or a secret cannot be opened.
    pub async fn route_by_slug(&self, slug: &Slug) -> Result<Option<RouteRecord>, CatalogError> {
        let row = self.row_prepared(&route_row::BY_SLUG, &[text(slug.as_str())]).await?;
        row.map(|row| route_row::decode(&row, self.key())).transpose()
    }

    /// The tenant with this id, unless it is deleted.
    ///
    /// # Errors
    /// When the catalog is unavailable, or a secret cannot be opened.
    pub async fn route_by_id(&self, id: TenantId) -> Result<Option<RouteRecord>, CatalogError> {
        let row = self.row_prepared(&route_row::BY_ID, &[uuid(id.as_uuid())]).await?;
        row.map(|row| route_row::decode(&row, self.key())).transpose()
    }

    /// The tenant that the API key with this SHA-256 opens, if the key is live.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn tenant_of_api_key(&self, hash: &[u8; 32]) -> Result<Option<TenantId>, CatalogError> {
        let sql = "select tenant_id from catalog.credentials
                   where key_hash = $1 and revoked_at is null and (expires_at is null or expires_at > now())";
        let row = self.row(sql, &[bytes(hash.as_slice())]).await?;
        row.map(|row| row.id("tenant_id")).transpose()
    }

    /// The catalog's revision. Whoever reads a route afterwards sees all changes up to it.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn current_revision(&self) -> Result<Revision, CatalogError> {
        let row = self.row("select value from catalog.revision", &[]).await?;
        let row = row.ok_or_else(|| CatalogError::corrupt("revision", "its row is missing"))?;
        row.value("value").map(Revision::new)
    }

    /// Whose routes changed after revision `after`.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn route_changes_since(&self, after: Revision) -> Result<RouteChanges, CatalogError> {
        // One statement, so that the revision and the changes are of the same moment. A revision that
        // is ahead of the catalog's comes from before the catalog was restored.
        let sql = "select r.value, $1 < r.pruned_through or $1 > r.value as lost,
                     (select i.value from catalog.identity_version i) as identity,
                     (select f.value from catalog.features_version f) as features,
                     exists (select from catalog.route_changes c where c.revision > $1 and c.tenant_id is null)
                       as everything,
                     array(select distinct c.tenant_id from catalog.route_changes c
                           where c.revision > $1 and c.tenant_id is not null limit $2 + 1) as tenants,
                     array(select distinct c.domain from catalog.domain_changes c
                           where c.revision > $1 limit $3 + 1) as domains
                   from catalog.revision r";
        let args = [bigint(after.get()), bigint(CHANGED_TENANTS_MAX), bigint(CHANGED_DOMAINS_MAX)];
        let row = self.row(sql, &args).await?;
        let row = row.ok_or_else(|| CatalogError::corrupt("revision", "its row is missing"))?;
        let tenants: Vec<uuid::Uuid> = row.value("tenants")?;
        let lost: bool = row.value("lost")?;
        let all = lost || row.value("everything")? || is_over(tenants.len(), CHANGED_TENANTS_MAX);
        let changed = if all {
            Changed::Everything
        } else {
            Changed::Tenants(tenants.into_iter().map(TenantId::from).collect())
        };
        Ok(RouteChanges {
            revision: Revision::new(row.value("value")?),
            changed,
            identity: Revision::new(row.value("identity")?),
            features: Revision::new(row.value("features")?),
            domains: changed_domains(&row, lost)?,
        })
    }
}

fn changed_domains(row: &Row, lost: bool) -> Result<ChangedDomains, CatalogError> {
    let domains: Vec<DomainName> = row.words("domains")?;
    let all = lost || is_over(domains.len(), CHANGED_DOMAINS_MAX);
    Ok(if all { ChangedDomains::All } else { ChangedDomains::These(domains) })
}

fn is_over(count: usize, max: i64) -> bool {
    i64::try_from(count).is_ok_and(|count| count > max)
}
