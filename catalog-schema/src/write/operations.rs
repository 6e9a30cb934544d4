//! Operations: queued with the change that needs them, claimed by one worker at a time, ended once.
//!
//! A claim is a lease with a number, the fence, that rises with each claim. Every write of a worker
//! goes through [`FencedTx`], which holds the operation's row locked and checks the number, so a
//! worker that was slow, not dead, can do no harm once another has taken over. All times are the
//! database's: workers' clocks do not matter.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::read::operations::{OperationRecord, STEPS, StepRecord, operation_of_row, step_of_row};
use crate::row::Columns;
use crate::sql::{bigint, json, millis, text, texts, timestamp, uuid};
use crate::tx::{FencedTx, Tx};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;
use tenancy::{OperationId, TenantId};

/// An operation to queue.
#[derive(Debug, Clone, PartialEq)]
pub struct NewOperation {
    /// Its id.
    pub id: OperationId,
    /// What it does, such as `provision`.
    pub kind: String,
    /// The tenant that it works on. No other may work on it meanwhile.
    pub tenant: Option<TenantId>,
    /// What it is asked to do, an object. Never a secret.
    pub params: Value,
    /// The names of its steps, so that progress can be shown before they are begun.
    pub steps: Vec<String>,
    /// Not before this.
    pub run_at: Option<Timestamp>,
}

/// The right to work on an operation, until it is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// On which operation.
    pub operation: OperationId,
    /// By which worker.
    pub worker: String,
    /// The number of the claim.
    pub fence: i64,
}

/// An operation that was claimed just now.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimedOperation {
    /// The right to work on it.
    pub claim: Claim,
    /// As it stands.
    pub operation: OperationRecord,
    /// Its steps, in their order, as they stand.
    pub steps: Vec<StepRecord>,
}

/// What a worker learns when it renews its claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewed {
    /// Somebody asked to stop the operation.
    pub cancel_requested: bool,
}

/// How an operation ends.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Done.
    Succeeded,
    /// It failed and is undone.
    Failed {
        /// Why, for people and programs.
        error: Value,
    },
    /// It is undone because somebody asked for that.
    Cancelled,
    /// It failed, and so did undoing it. Its tenant is free for other operations, such as a purge.
    UndoFailed {
        /// Why, for people and programs.
        error: Value,
    },
}

impl Tx {
    /// Queues an operation.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`] when the tenant is in the middle of another, or when the catalog is
    /// unavailable.
    pub async fn operation_enqueue(&mut self, new: &NewOperation) -> Result<OperationRecord, CatalogError> {
        let actor = self.context.actor.clone();
        let request_id = self.context.request_id.clone();
        let sql =
            "insert into catalog.operations (id, kind, tenant_id, params, actor, request_id, next_run_at)
                   values ($1, $2, $3, $4, $5, $6, coalesce($7, now())) returning *";
        let args = [
            uuid(new.id.as_uuid()),
            text(new.kind.as_str()),
            uuid(new.tenant.map(TenantId::as_uuid)),
            json(&new.params),
            text(actor.as_str()),
            text(request_id.as_str()),
            timestamp(new.run_at),
        ];
        let row = self.row(sql, &args).await?;
        let steps = "insert into catalog.operation_steps (operation_id, ordinal, name)
                     select $1, s.ordinal - 1, s.name from unnest($2) with ordinality as s (name, ordinal)";
        self.execute(steps, &[uuid(new.id.as_uuid()), texts(&new.steps)]).await?;
        let detail = json!({ "kind": new.kind, "params": new.params });
        self.audit("operation.enqueue", new.tenant, &new.id.to_string(), detail);
        operation_of_row(&row.ok_or(CatalogError::NotFound { what: "operation" })?)
    }

    /// Reads an operation and its steps, and keeps its worker from writing to either until the transaction ends.
    /// `None` when there is no such operation.
    ///
    /// # Errors
    /// [`CatalogError::Busy`] when its row is locked for too long, or when the catalog is unavailable.
    pub async fn operation_lock(
        &mut self,
        id: OperationId,
    ) -> Result<Option<(OperationRecord, Vec<StepRecord>)>, CatalogError> {
        let sql = "select * from catalog.operations where id = $1 for update";
        let Some(row) = self.row(sql, &[uuid(id.as_uuid())]).await? else { return Ok(None) };
        let steps = self.rows(STEPS, &[uuid(id.as_uuid())]).await?;
        let steps = steps.iter().map(step_of_row).collect::<Result<_, _>>()?;
        Ok(Some((operation_of_row(&row)?, steps)))
    }

    /// Asks to stop an operation. Its worker decides whether that is still possible; a finished one
    /// stays as it is.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], or when the catalog is unavailable.
    pub async fn operation_cancel(&mut self, id: OperationId) -> Result<OperationRecord, CatalogError> {
        // A waiting one is woken: whoever asks for the end should not sit out a back-off.
        let sql = "update catalog.operations set cancel_requested = true,
                     next_run_at = case when claimed_by is null then least(next_run_at, now()) else next_run_at end
                   where id = $1 and finished_at is null returning *";
        if let Some(row) = self.row(sql, &[uuid(id.as_uuid())]).await? {
            let operation = operation_of_row(&row)?;
            self.audit("operation.cancel", operation.tenant, &id.to_string(), json!({}));
            return Ok(operation);
        }
        let row = self.row("select * from catalog.operations where id = $1", &[uuid(id.as_uuid())]).await?;
        operation_of_row(&row.ok_or(CatalogError::NotFound { what: "operation" })?)
    }
}

impl Catalog {
    /// Claims the operation that has waited longest: one that nobody works on, or whose worker has not
    /// renewed its claim in time. Several workers may ask at once; each gets another.
    ///
    /// # Errors
    /// When the catalog is unavailable. If it is lost just then, the claim may stand until its lease ends.
    pub async fn operation_claim(
        &self,
        worker: &str,
        lease: Duration,
    ) -> Result<Option<ClaimedOperation>, CatalogError> {
        let sql = "with next as (
                     select id from catalog.operations
                     where finished_at is null
                       and ((claimed_by is null and next_run_at <= now()) or lease_expires_at < now())
                     order by next_run_at, id limit 1 for update skip locked)
                   update catalog.operations o set claimed_by = $1,
                     lease_expires_at = clock_timestamp() + $2 * interval '1 millisecond',
                     fence = o.fence + 1, attempt = o.attempt + 1,
                     state = case when o.direction = 'undo' and o.cancel_requested then 'cancelling' else 'running' end
                   from next where o.id = next.id returning o.*";
        let session = self.session().await?;
        let rows = session.query(sql, &[text(worker), millis(lease)]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let operation = operation_of_row(row)?;
        let claim = Claim { operation: operation.id, worker: worker.to_owned(), fence: row.value("fence")? };
        let steps = session.query(STEPS, &[uuid(operation.id.as_uuid())]).await?;
        let steps = steps.iter().map(step_of_row).collect::<Result<_, _>>()?;
        Ok(Some(ClaimedOperation { claim, operation, steps }))
    }

    /// Prolongs a claim to `lease` from now.
    ///
    /// # Errors
    /// [`CatalogError::Fenced`] when it was lost, or when the catalog is unavailable.
    pub async fn operation_renew(&self, claim: &Claim, lease: Duration) -> Result<Renewed, CatalogError> {
        let sql = "update catalog.operations
                   set lease_expires_at = clock_timestamp() + $4 * interval '1 millisecond'
                   where id = $1 and fence = $2 and claimed_by = $3 and finished_at is null
                   returning cancel_requested";
        let args = [
            uuid(claim.operation.as_uuid()),
            bigint(claim.fence),
            text(claim.worker.as_str()),
            millis(lease),
        ];
        let rows = self.session().await?.query(sql, &args).await?;
        let row = rows.first().ok_or(CatalogError::Fenced)?;
        Ok(Renewed { cancel_requested: row.value("cancel_requested")? })
    }
}

impl FencedTx {
    /// Has somebody asked to stop the operation? Nobody can ask any more until the transaction ends.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn operation_cancel_requested(&mut self) -> Result<bool, CatalogError> {
        let id = self.claim.operation.as_uuid();
        let sql = "select cancel_requested from catalog.operations where id = $1";
        self.row(sql, &[uuid(id)]).await?.ok_or(CatalogError::Fenced)?.value("cancel_requested")
    }

    /// Adds to what came of the operation: the members of `outputs`, an object, over those already there.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn operation_output(&mut self, outputs: &Value) -> Result<(), CatalogError> {
        let id = self.claim.operation.as_uuid();
        let sql = "update catalog.operations set outputs = outputs || $2 where id = $1";
        self.execute(sql, &[uuid(id), json(outputs)]).await.map(drop)
    }

    /// Turns the operation round: from here on its steps are undone. The claim is kept.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn operation_undo(&mut self, error: Option<&Value>) -> Result<(), CatalogError> {
        let id = self.claim.operation.as_uuid();
        let sql = "update catalog.operations set direction = 'undo', error = coalesce($2, error),
                     state = case when cancel_requested then 'cancelling' else 'running' end where id = $1";
        self.execute(sql, &[uuid(id), json(error)]).await.map(drop)
    }

    /// Gives the claim back; the operation goes on after `delay`. With no delay and no error, this is
    /// how a worker that shuts down lets another go on at once.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn operation_wait(
        &mut self,
        delay: Duration,
        error: Option<&Value>,
    ) -> Result<(), CatalogError> {
        let id = self.claim.operation.as_uuid();
        let sql = "update catalog.operations set state = 'waiting', claimed_by = null, lease_expires_at = null,
                     next_run_at = clock_timestamp() + $2 * interval '1 millisecond', error = coalesce($3, error)
                   where id = $1";
        self.execute(sql, &[uuid(id), millis(delay), json(error)]).await.map(drop)
    }

    /// Ends the operation. Its tenant is free for another one with the commit.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn operation_finish(&mut self, outcome: &Outcome) -> Result<OperationRecord, CatalogError> {
        let (state, error) = match outcome {
            Outcome::Succeeded => ("succeeded", None),
            Outcome::Failed { error } => ("failed", Some(error)),
            Outcome::Cancelled => ("cancelled", None),
            Outcome::UndoFailed { error } => ("undo-failed", Some(error)),
        };
        let id = self.claim.operation;
        // What the last failed attempt met is no news once the operation has succeeded.
        let sql = "update catalog.operations set state = $2, claimed_by = null, lease_expires_at = null,
                     finished_at = clock_timestamp(),
                     error = case when $2 = 'succeeded' then null else coalesce($3, error) end
                   where id = $1 returning *";
        let row = self.row(sql, &[uuid(id.as_uuid()), text(state), json(error)]).await?;
        let operation = operation_of_row(&row.ok_or(CatalogError::Fenced)?)?;
        let detail = json!({ "kind": operation.kind, "state": state, "error": error });
        self.audit("operation.finish", operation.tenant, &id.to_string(), detail);
        Ok(operation)
    }
}
