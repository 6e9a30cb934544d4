//! The words that every part of Tenantry shares, as types.
//!
//! An id, a name, a lifecycle state or a limit is checked once, when it enters the process, and is
//! a value of one of these types from then on. This crate does no I/O, spawns nothing and knows
//! neither HTTP nor SQL; the crates above it map [`ErrorKind`] to SQLSTATEs and status codes.

pub mod access;
pub mod address_range;
pub mod domain;
pub mod email;
pub mod error;
pub mod feature;
pub mod generation;
pub mod id;
pub mod isolation;
pub mod issuer;
pub mod key_scope;
pub mod lifecycle;
pub mod member_role;
pub mod name;
pub mod permission;
pub mod plan;
pub mod pool_mode;
pub mod role;
pub mod secret;
pub mod source;
pub mod storage;
pub mod tls_mode;

pub use access::Access;
pub use address_range::{AddressRange, BadAddressRange};
pub use domain::{BadDomainName, DomainName};
pub use email::{Email, NotAnEmail};
pub use error::ErrorKind;
pub use feature::{BuiltIn, Percentage, Reason, Rollout};
pub use generation::{Generation, Revision};
pub use id::{
    ClusterId, CredentialId, CustomRoleId, GatewayId, InviteId, IssuerId, OperationId, ServiceId, SessionId,
    SigningKeyId, TenantId, UserId,
};
pub use isolation::Isolation;
pub use issuer::{ClaimPath, ClaimShape, Issuer, SigningAlgorithm, TenantForm};
pub use key_scope::KeyScope;
pub use lifecycle::{ClusterState, TenantState};
pub use member_role::{CustomRole, MemberRole};
pub use name::{
    ClusterName, CustomRoleName, DatabaseName, FeatureName, NameError, PlanName, RESERVED_SLUGS, RegionName,
    RoleName, Slug, UserName,
};
pub use permission::{Permission, Permissions, UnknownPermission};
pub use plan::{Limits, WEIGHT_DEFAULT, WEIGHT_MAX};
pub use pool_mode::PoolMode;
pub use role::Role;
pub use secret::Secret;
pub use source::Source;
pub use storage::StorageStanding;
pub use tls_mode::TlsMode;
