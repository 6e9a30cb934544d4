//! From what the catalog says to what the client is told.
//!
//! Both matches are exhaustive, so that a new rule of the catalog cannot be forgotten here. What the
//! client can mend is a problem of its own; everything else is logged in full and told as `internal`.

use super::problem::{Problem, ProblemKind};
use crate::people::passwords::PasswordError;
use crate::secrets::SecretsError;
use catalog_schema::{CatalogError, Constraint};

impl From<CatalogError> for Problem {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Unavailable { .. } | CatalogError::Timeout | CatalogError::Busy => {
                tracing::warn!(%error, "the catalog did not serve a request");
                ProblemKind::CatalogUnavailable.into()
            }
            CatalogError::Conflict { ref constraint } | CatalogError::Refused { ref constraint } => {
                by_constraint(constraint).unwrap_or_else(|| internal(&error))
            }
            CatalogError::NotFound { what } => not_found(what).unwrap_or_else(|| internal(&error)),
            CatalogError::StaleVersion { current } => Self::new(ProblemKind::StaleVersion)
                .detail(format!("it is version {current} now, its ETag is \"{current}\"")),
            CatalogError::IllegalTransition { .. } => {
                Self::new(ProblemKind::TenantState).detail(error.to_string())
            }
            CatalogError::LimitReached { .. } => {
                Self::new(ProblemKind::LimitReached).detail(error.to_string())
            }
            CatalogError::NewerSchema { .. }
            | CatalogError::OlderSchema { .. }
            | CatalogError::Fenced
            | CatalogError::Corrupt { .. }
            | CatalogError::AuditBroken { .. }
            | CatalogError::Seal(_)
            | CatalogError::BadDsn { .. }
            | CatalogError::Migration { .. }
            | CatalogError::Database { .. } => internal(&error),
        }
    }
}

impl From<PasswordError> for Problem {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => ProblemKind::SignInBusy.into(),
            PasswordError::Unfit => {
                Self::new(ProblemKind::InvalidField).detail(error.to_string()).field("password")
            }
            PasswordError::Failed => internal(&error),
        }
    }
}

impl From<SecretsError> for Problem {
    fn from(error: SecretsError) -> Self {
        internal(&error)
    }
}

/// Logs a mistake of ours and tells the client no more than that there was one.
pub(super) fn internal(error: &(impl std::error::Error + ?Sized)) -> Problem {
    tracing::error!(%error, "a request failed inside the control plane");
    ProblemKind::Internal.into()
}

fn not_found(what: &str) -> Option<Problem> {
    let kind = match what {
        "region" => ProblemKind::RegionNotFound,
        "cluster" => ProblemKind::ClusterNotFound,
        "feature" => ProblemKind::FeatureNotFound,
        "tenant feature" => ProblemKind::TenantFeatureNotFound,
        "gateway" => ProblemKind::GatewayNotFound,
        "tenant" => ProblemKind::TenantNotFound,
        "plan" => ProblemKind::PlanNotFound,
        "credential" => ProblemKind::CredentialNotFound,
        "service credential" => ProblemKind::ServiceNotFound,
        "custom domain" => ProblemKind::DomainNotFound,
        "issuer" => ProblemKind::IssuerNotFound,
        "external id" => ProblemKind::ExternalIdNotFound,
        "operation" => ProblemKind::OperationNotFound,
        "user" => ProblemKind::UserNotFound,
        "member" => ProblemKind::MemberNotFound,
        "role" => ProblemKind::RoleNotFound,
        "invite" => ProblemKind::InviteNotFound,
        "session" => ProblemKind::SessionNotFound,
        _ => return None,
    };
    Some(kind.into())
}

/// `None` for rules that no request can break unless we are wrong.
fn by_constraint(constraint: &Constraint) -> Option<Problem> {
    let (kind, field) = match constraint {
        Constraint::RegionTaken => (ProblemKind::RegionExists, Some("name")),
        Constraint::ClusterNameTaken => (ProblemKind::ClusterExists, Some("name")),
        Constraint::ClusterRegistered => (ProblemKind::ClusterExists, Some("admin_dsn")),
        Constraint::ClusterRegionUnknown | Constraint::RegionUnknown => {
            (ProblemKind::RegionUnknown, Some("region"))
        }
        Constraint::AllowedRegionUnknown => (ProblemKind::RegionUnknown, Some("allowed_regions")),
        Constraint::RegionNotAllowed => (ProblemKind::RegionNotAllowed, Some("region")),
        Constraint::PlacedElsewhere => (ProblemKind::RegionNotAllowed, Some("allowed_regions")),
        Constraint::PlacementNotAllowed => (ProblemKind::RegionNotAllowed, None),
        Constraint::ClusterFull | Constraint::ClusterNotActive => (ProblemKind::NoCapacity, None),
        Constraint::CredentialReplaced | Constraint::CredentialRotating => {
            (ProblemKind::CredentialRotating, None)
        }
        Constraint::DomainTaken => (ProblemKind::DomainTaken, None),
        Constraint::DomainRequested => (ProblemKind::DomainExists, Some("domain")),
        Constraint::SlugTaken | Constraint::SlugAliased => (ProblemKind::SlugTaken, Some("slug")),
        Constraint::FeatureTaken => (ProblemKind::FeatureExists, Some("name")),
        Constraint::FeatureBuiltIn => (ProblemKind::FeatureBuiltIn, None),
        Constraint::PlanTaken => (ProblemKind::PlanExists, Some("name")),
        Constraint::PlanUnknown => (ProblemKind::PlanUnknown, Some("plan")),
        Constraint::OperationUnfinished => (ProblemKind::OperationInProgress, None),
        Constraint::TenantDeleted => (ProblemKind::TenantState, None),
        Constraint::IssuerTaken => (ProblemKind::IssuerExists, Some("iss")),
        Constraint::ExternalIdTaken => (ProblemKind::ExternalIdTaken, Some("external_id")),
        Constraint::EmailTaken => (ProblemKind::UserExists, Some("email")),
        Constraint::IdentityTaken => (ProblemKind::IdentityTaken, None),
        Constraint::CustomRoleTaken => (ProblemKind::RoleExists, Some("name")),
        Constraint::CustomRoleHeld | Constraint::CustomRoleInvited => (ProblemKind::RoleInUse, None),
        Constraint::MemberTaken => (ProblemKind::MemberExists, None),
        Constraint::LastOwner => (ProblemKind::LastOwner, None),
        Constraint::TenantPlaced
        | Constraint::FeatureStays
        | Constraint::ClusterUnknown
        | Constraint::IdempotencyUnanswered
        | Constraint::NotProvenDropped
        | Constraint::PhysicalNameUsed
        | Constraint::ApiKeyTaken
        | Constraint::GatewayNumberTaken
        | Constraint::TenantStillPlaced
        | Constraint::AuditAppendOnly
        | Constraint::LedgerAppendOnly
        | Constraint::MembershipStays
        | Constraint::CredentialReplacesOther
        | Constraint::IssuerOfAnother
        | Constraint::IssuerStays
        | Constraint::Other(_) => return None,
    };
    let problem = Problem::new(kind).detail(constraint.to_string());
    Some(match field {
        Some(field) => problem.field(field),
        None => problem,
    })
}
