//! Dry runs: what a request would do, told step by step, with nothing changed.

use super::problem::ApiResult;
use super::tenants::Tenant;
use crate::operations::OperationKind;
use crate::schedule::placement::Verdict;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The switch that every request takes which starts an operation.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DryRun {
    /// Show what would happen and change nothing.
    #[serde(default)]
    pub(super) dry_run: bool,
}

/// What would happen.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Plan {
    /// Always true: nothing was changed.
    dry_run: bool,
    /// The operation that would run.
    operation: &'static str,
    /// The tenant as it would stand.
    tenant: Tenant,
    /// The steps, in order.
    steps: Vec<PlannedStep>,
    /// The clusters that were considered and why one would be chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    considered: Option<Vec<Verdict>>,
    /// What would be gone; told to the operator only.
    #[serde(skip_serializing_if = "Option::is_none")]
    removes: Option<Removes>,
}

/// One step that would be taken.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PlannedStep {
    name: &'static str,
    description: &'static str,
    /// From this step on there is no way back.
    point_of_no_return: bool,
}

/// What a purge removes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Removes {
    /// The cluster that holds the database.
    pub(super) cluster: Option<String>,
    /// The physical database.
    pub(super) database: Option<String>,
    /// Its oid: one with another is left alone.
    pub(super) database_oid: Option<u32>,
    /// The login roles.
    pub(super) roles: Vec<String>,
}

impl Plan {
    /// The plan of an operation on a tenant.
    pub(super) fn new(kind: OperationKind, tenant: Tenant) -> Self {
        let steps = kind.steps().iter().map(|step| PlannedStep {
            name: step.name,
            description: step.summary,
            point_of_no_return: step.is_point_of_no_return(),
        });
        Self {
            dry_run: true,
            operation: kind.as_str(),
            tenant,
            steps: steps.collect(),
            considered: None,
            removes: None,
        }
    }

    /// Adds the clusters that were considered.
    pub(super) fn considered(mut self, verdicts: Vec<Verdict>) -> Self {
        self.considered = Some(verdicts);
        self
    }

    /// Adds what would be gone.
    pub(super) fn removes(mut self, removes: Removes) -> Self {
        self.removes = Some(removes);
        self
    }

    /// As an answer.
    pub(super) fn show(&self) -> ApiResult<axum::response::Response> {
        super::mutation::shown(self)
    }
}
