//! Steps. Begun and ended on record, so that whoever takes an operation over knows where it stands.

use crate::error::CatalogError;
use crate::row::Columns;
use crate::sql::{bigint, json, text, uuid};
use crate::tx::FencedTx;
use serde_json::Value;

/// How a step ended.
#[derive(Debug, Clone, PartialEq)]
pub enum StepOutcome {
    /// It is done.
    Done {
        /// What later steps need to know of it. Never a secret.
        output: Value,
    },
    /// It is undone.
    Undone,
    /// This attempt failed and another will follow.
    Retry {
        /// What it met.
        error: Value,
    },
    /// It failed for good.
    Failed {
        /// Why.
        error: Value,
    },
}

impl FencedTx {
    /// Records that a step is begun, in either direction, and how often it has been. Commit this
    /// before doing what the step does: after a crash it is then known to be in the open.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn step_start(&mut self, ordinal: u32, name: &str) -> Result<u32, CatalogError> {
        let id = self.claim.operation.as_uuid();
        // A step that a newer release has added has no row yet.
        let sql = "insert into catalog.operation_steps as s
                     (operation_id, ordinal, name, state, attempt, started_at)
                   values ($1, $2::bigint, $3, 'running', 1, clock_timestamp())
                   on conflict (operation_id, ordinal) do update set name = excluded.name, state = 'running',
                     attempt = s.attempt + 1, started_at = coalesce(s.started_at, excluded.started_at),
                     finished_at = null
                   returning attempt";
        let row = self.row(sql, &[uuid(id), bigint(i64::from(ordinal)), text(name)]).await?;
        row.ok_or(CatalogError::NotFound { what: "step" })?.number("attempt")
    }

    /// Records how a step ended.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when it was never begun, or when the catalog is unavailable.
    pub async fn step_finish(&mut self, ordinal: u32, outcome: &StepOutcome) -> Result<(), CatalogError> {
        let (state, output, error) = match outcome {
            StepOutcome::Done { output } => ("done", Some(output), None),
            StepOutcome::Undone => ("undone", None, None),
            StepOutcome::Retry { error } => ("running", None, Some(error)),
            StepOutcome::Failed { error } => ("failed", None, Some(error)),
        };
        let id = self.claim.operation.as_uuid();
        let sql = "update catalog.operation_steps set state = $3, output = coalesce($4, output), error = $5,
                     finished_at = case when $3 = 'running' then null else clock_timestamp() end
                   where operation_id = $1 and ordinal = $2";
        let args = [uuid(id), bigint(i64::from(ordinal)), text(state), json(output), json(error)];
        match self.execute(sql, &args).await? {
            0 => Err(CatalogError::NotFound { what: "step" }),
            _ => Ok(()),
        }
    }
}
