//! The catalog's rules by name, so that a caller can tell people which one stood against them.

use std::fmt;

macro_rules! constraints {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $message:literal;)*) => {
        /// A rule that the catalog keeps for every writer. Its `Display` is a message for people.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Constraint {
            $($(#[$doc])* $variant,)*
            /// Any other rule, by its name in the schema.
            Other(String),
        }

        impl Constraint {
            /// Every rule that has a word of its own.
            pub const KNOWN: &[Self] = &[$(Self::$variant),*];

            /// The rule's name in the schema.
            #[must_use]
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Other(name) => name,
                }
            }

            pub(crate) fn from_name(name: &str) -> Self {
                match name {
                    $($name => Self::$variant,)*
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl fmt::Display for Constraint {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant => f.write_str($message),)*
                    Self::Other(name) => write!(f, "the catalog's rule {name} does not allow this"),
                }
            }
        }
    };
}

constraints! {
    /// A region's name is taken.
    RegionTaken = "regions_pkey", "there is already a region of this name";
    /// A cluster's name is taken.
    ClusterNameTaken = "clusters_name_key", "there is already a cluster of this name";
    /// The same server is registered under another name.
    ClusterRegistered = "clusters_system_identifier_key", "this server is already registered as a cluster";
    /// A cluster's region is not registered.
    ClusterRegionUnknown = "clusters_region_fkey", "the cluster's region is not registered";
    /// As many tenants are placed on the cluster as it may hold.
    ClusterFull = "placements_cluster_full", "the cluster holds as many tenants as it may";
    /// The cluster takes no new tenants.
    ClusterNotActive = "placements_cluster_active", "the cluster takes no new tenants";
    /// A living tenant has this slug.
    SlugTaken = "tenants_slug_key", "there is already a tenant of this name";
    /// A renamed tenant is still reached under this slug.
    SlugAliased = "tenants_slug_aliased", "another tenant was renamed lately and is still reached by this name";
    /// The tenant's region is not registered.
    RegionUnknown = "tenants_region_fkey", "the region is not registered";
    /// The tenant's region is not among those that it allows.
    RegionNotAllowed = "tenants_region_allowed", "the tenant's region is not among the regions that it allows";
    /// A region that the tenant allows is not registered.
    AllowedRegionUnknown = "tenants_allowed_regions_known", "a region that the tenant allows is not registered";
    /// The tenant's data stands where it would no longer be allowed to.
    PlacedElsewhere = "tenants_allowed_regions_placed", "the tenant's data stands in a region that it would no longer allow";
    /// A plan's name is taken.
    PlanTaken = "plans_pkey", "there is already a plan of this name";
    /// The plan does not exist.
    PlanUnknown = "tenants_plan_fkey", "there is no such plan";
    /// A feature's name is taken.
    FeatureTaken = "features_pkey", "there is already a feature of this name";
    /// The gateway itself asks for the feature.
    FeatureBuiltIn = "features_built_in", "a feature of the gateway's own is not removed";
    /// A feature keeps its name and its kind.
    FeatureStays = "features_stay", "a feature keeps its name and its kind";
    /// The tenant is already placed.
    TenantPlaced = "placements_pkey", "the tenant is already placed on a cluster";
    /// The cluster stands where the tenant's data may not be.
    PlacementNotAllowed = "placements_region_allowed", "the cluster stands in a region that the tenant does not allow";
    /// A database or role may still exist, so what is known of it is kept.
    NotProvenDropped = "placements_dropped", "the tenant's database or role is not proven to be dropped";
    /// A physical name was used before.
    PhysicalNameUsed = "physical_names_pkey", "the name of the database or role was used before";
    /// An issuer of this name is registered.
    IssuerTaken = "issuers_iss_key", "there is already an issuer of this name";
    /// The issuer calls another tenant so.
    ExternalIdTaken = "external_ids_pkey", "the issuer calls another tenant by this name";
    /// A tenant's own issuer vouches for no other.
    IssuerOfAnother = "external_ids_own_issuer", "the issuer is another tenant's own";
    /// Whose an issuer is does not change.
    IssuerStays = "issuers_stay", "an issuer is not handed on";
    /// An API key is already known.
    ApiKeyTaken = "credentials_key_hash_key", "there is already such an api key";
    /// The credential was replaced by another already.
    CredentialReplaced = "credentials_replaced_once", "another credential has taken this one's place already";
    /// A credential takes the place of one that took another's place, which is still good.
    CredentialRotating = "credentials_rotating", "what this credential has replaced is still good";
    /// A credential takes the place of one of another kind, user or tenant.
    CredentialReplacesOther = "credentials_replace_alike", "a credential takes the place of one like it";
    /// The domain is another tenant's.
    DomainTaken = "custom_domains_verified_key", "the domain is another tenant's";
    /// The tenant has asked for the domain already.
    DomainRequested = "custom_domains_pkey", "the tenant has this domain already";
    /// Another gateway has just taken the number.
    GatewayNumberTaken = "gateways_number_key", "another gateway has this number";
    /// An idempotency key was taken in a transaction that gave no answer.
    IdempotencyUnanswered = "idempotency_keys_answered", "the idempotency key was taken and not answered";
    /// Another operation of the tenant is not finished.
    OperationUnfinished = "operations_one_unfinished_per_tenant", "another operation of this tenant is not finished";
    /// The cluster is not registered.
    ClusterUnknown = "physical_names_cluster_id_fkey", "there is no such cluster";
    /// The tenant is deleted.
    TenantDeleted = "tenants_deleted_final", "a deleted tenant does not change";
    /// The tenant still has a placement, so it is not gone.
    TenantStillPlaced = "tenants_deleted_unplaced", "the tenant still has a database";
    /// A user's address is taken.
    EmailTaken = "users_email_key", "there is already a user with this address";
    /// Somebody is that already at the identity provider.
    IdentityTaken = "user_identities_pkey", "somebody has this identity already";
    /// The tenant has a role of this name.
    CustomRoleTaken = "custom_roles_name_key", "the tenant has a role of this name already";
    /// A member has the role.
    CustomRoleHeld = "memberships_custom_role_fkey", "somebody has this role, or it is gone";
    /// An invite is to the role.
    CustomRoleInvited = "invites_custom_role_fkey", "somebody is invited to this role, or it is gone";
    /// The user is a member already.
    MemberTaken = "memberships_pkey", "the user is a member of the tenant already";
    /// No owner would be left.
    LastOwner = "memberships_last_owner", "a tenant keeps at least one owner who can sign in";
    /// A membership is one user's in one tenant, for good.
    MembershipStays = "memberships_stay", "a membership is not handed on";
    /// Audit rows are only ever added.
    AuditAppendOnly = "audit_append_only", "audit rows are never changed or removed";
    /// The ledger of physical names only ever grows.
    LedgerAppendOnly = "physical_names_append_only", "the ledger of physical names only grows";
}
