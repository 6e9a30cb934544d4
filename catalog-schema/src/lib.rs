//! The catalog: what exists, where it is, and what is being done to it. The only SQL against it.
//!
//! [`read`] holds what the gateway and the control plane ask, as methods of [`Catalog`]; the gateway
//! uses nothing beyond `read/routes.rs`, `read/identity.rs`, `read/features.rs`, `read/gateways.rs`, `read/leases.rs`, `read/rates.rs` and `read/uses.rs`. [`write`](mod@write) holds what the control plane changes,
//! as methods of [`Tx`]: changes made together are committed together, with the audit rows that tell
//! of them, and whoever works on an operation writes through [`FencedTx`], which refuses a worker that has lost
//! its claim. The database guards what must hold for any writer (states, residency, names that are
//! never used twice, one unfinished operation a tenant); see `migrations/`.
//!
//! A secret is stored sealed under the [`MasterKey`] and never in clear, nor is it part of an error.
//! Nothing here waits without a bound: a catalog that does not answer is an error within seconds.

pub mod error;
pub mod key;
pub mod migrate;
pub mod notify;
pub mod page;
pub mod read;
pub mod write;

mod catalog;
mod pool;
mod row;
mod session;
mod sql;
mod tx;
mod way;

pub use catalog::Catalog;
pub use error::{CatalogError, Constraint};
pub use key::{MasterKey, SealError};
pub use migrate::{MigrationReport, SCHEMA_VERSION, migrate};
pub use notify::{BudgetWakeups, OperationWakeups, RouteWakeups, Wakeups};
pub use page::Page;
pub use read::access_roles::{AccessRole, PlacedRole};
pub use read::audit::{AuditFilter, AuditHead, AuditRecord};
pub use read::clusters::{ClusterAdmin, ClusterDetail};
pub use read::credentials::CredentialDetail;
pub use read::domains::{ChangedDomains, DomainRecord};
pub use read::features::{FeatureRecord, FeaturesDocument, OwnFeature};
pub use read::gateways::{GATEWAY_LIVE_WITHIN, GATEWAY_NUMBER_MAX, GatewayHeartbeat, GatewayRecord};
pub use read::holders::KeyHolder;
pub use read::idempotency::StoredResponse;
pub use read::identity::IdentityDocument;
pub use read::invites::InviteRecord;
pub use read::issuers::{ExternalId, ExternalIdRecord, IssuerRecord};
pub use read::leases::{BudgetShare, CLAIM_MAX, LeaseClaim, LeaseRecord, LeaseRenewal};
pub use read::logins::{Logins, RoleLogin};
pub use read::members::MembershipRecord;
pub use read::operations::{
    Direction, OperationFilter, OperationRecord, OperationState, StepRecord, StepState,
};
pub use read::placements::{NameKind, PhysicalName, PlacementDetail};
pub use read::plans::{Entitlement, PlanRecord};
pub use read::rates::{RATE_CLAIMS_MAX, RATE_WHOLE, RateClaim, RateRenewal, RateShare};
pub use read::regions::RegionRecord;
pub use read::revocations::{RevokedTokens, TOKENS_ASKED_MAX, TokenRef};
pub use read::role_settings::RoleSettings;
pub use read::roles::CustomRoleRecord;
pub use read::routes::{
    Changed, ClusterRecord, ClusterTls, CredentialKind, CredentialRecord, PlacementRecord, RouteChanges,
    RouteRecord,
};
pub use read::services::{ServiceDetail, ServiceRecord};
pub use read::sessions::{SessionHolder, SessionMethod, SessionRecord};
pub use read::signing_keys::{SigningKey, SigningKeyRecord};
pub use read::storage::StorageUse;
pub use read::tenants::{TenantFilter, TenantRecord};
pub use read::tombstones::TombstoneRecord;
pub use read::users::{UserIdentity, UserLogin, UserRecord};
pub use read::uses::{KeyUse, USES_MAX};
pub use tx::{Context, FencedTx, Tx};
pub use write::allow_lists::ALLOW_LIST_MAX;
pub use write::clusters::{ClusterPatch, NewCluster};
pub use write::credentials::{CREDENTIALS_LIVE_MAX, NewCredential};
pub use write::domains::{DOMAINS_MAX, DOMAINS_VERIFIED_MAX};
pub use write::features::{FEATURE_PLANS_MAX, FEATURES_MAX, FeatureSettings, OWN_FEATURES_MAX};
pub use write::gateways::Forgotten;
pub use write::idempotency::Idempotency;
pub use write::invites::{INVITES_OPEN_MAX, NewInvite};
pub use write::issuers::{EXTERNAL_IDS_MAX, ISSUERS_MAX, TENANT_ISSUERS_BYTES_MAX, TENANT_ISSUERS_MAX};
pub use write::members::{MEMBERS_MAX, MEMBERSHIPS_MAX};
pub use write::operations::{Claim, ClaimedOperation, NewOperation, Outcome, Renewed};
pub use write::placements::NewPlacement;
pub use write::roles::CUSTOM_ROLES_MAX;
pub use write::services::{NewService, SERVICE_TENANTS_MAX, SERVICES_LIVE_MAX};
pub use write::sessions::{NewSession, SESSIONS_LIVE_MAX, TokenGrant};
pub use write::signing_keys::NewSigningKey;
pub use write::steps::StepOutcome;
pub use write::storage::{DueDatabase, Measurement, StandingChange};
pub use write::tenants::{ALIASES_MAX, NewTenant, TenantPatch};
pub use write::upkeep::{Pruned, Retention};
pub use write::users::{NewUser, USER_IDENTITIES_MAX, UserPatch};
