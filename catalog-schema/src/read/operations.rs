//! Operations and their steps.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::page::Page;
use crate::read::tenants::ids;
use crate::row::Columns;
use crate::sql::{bigint, boolean, text, uuid, uuids};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::str::FromStr;
use tenancy::{OperationId, TenantId};
use tokio_postgres::Row;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word used by the API, the CLI and the catalog.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|word| word.as_str() == text)
                    .ok_or_else(|| format!("\"{text}\" is not one of its words"))
            }
        }
    };
}

words! {
    /// Where an operation stands.
    OperationState {
        /// Nobody has begun it.
        Queued = "queued",
        /// A worker has claimed it.
        Running = "running",
        /// It goes on at `next_run_at`, after a failure or while something remote takes its time.
        Waiting = "waiting",
        /// Done.
        Succeeded = "succeeded",
        /// It failed, and what it had done is undone.
        Failed = "failed",
        /// It is being undone because somebody asked for that.
        Cancelling = "cancelling",
        /// Undone because somebody asked for that.
        Cancelled = "cancelled",
        /// It failed, and so did undoing it: a person has to look.
        UndoFailed = "undo-failed",
    }
}

words! {
    /// Which way an operation goes through its steps.
    Direction {
        /// It does its steps, the first to the last.
        Forward = "forward",
        /// It undoes those that were done, the last to the first.
        Undo = "undo",
    }
}

words! {
    /// Where a step stands.
    StepState {
        /// Not begun.
        Pending = "pending",
        /// Begun; after a crash it is not known how far it came, so it is done again.
        Running = "running",
        /// Done.
        Done = "done",
        /// Done, and undone again.
        Undone = "undone",
        /// It failed for good.
        Failed = "failed",
    }
}

impl OperationState {
    /// Is there nothing left to do?
    #[must_use]
    pub const fn is_finished(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::UndoFailed => true,
            Self::Queued | Self::Running | Self::Waiting | Self::Cancelling => false,
        }
    }
}

/// A durable piece of work.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationRecord {
    /// Which.
    pub id: OperationId,
    /// What it does, such as `provision`.
    pub kind: String,
    /// The tenant that it works on and keeps others from working on.
    pub tenant: Option<TenantId>,
    /// Where it stands.
    pub state: OperationState,
    /// Which way it goes.
    pub direction: Direction,
    /// What it was asked to do. Never a secret.
    pub params: Value,
    /// What came of it. Never a secret.
    pub outputs: Value,
    /// How often it was claimed.
    pub attempt: u32,
    /// The worker that has claimed it.
    pub claimed_by: Option<String>,
    /// When that claim ends if it is not renewed.
    pub lease_expires_at: Option<Timestamp>,
    /// When it may be claimed.
    pub next_run_at: Timestamp,
    /// Why it failed, or what the last attempt met.
    pub error: Option<Value>,
    /// Did somebody ask to stop it?
    pub cancel_requested: bool,
    /// Who asked for it.
    pub actor: String,
    /// The request that led to it.
    pub request_id: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// When it came to its end.
    pub finished_at: Option<Timestamp>,
}

/// One step of an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRecord {
    /// Its place, from 0.
    pub ordinal: u32,
    /// What it does, such as `create-database`.
    pub name: String,
    /// Where it stands.
    pub state: StepState,
    /// How often it was begun, in either direction.
    pub attempt: u32,
    /// What later steps need to know of it. Never a secret.
    pub output: Value,
    /// Why it failed, or what the last attempt met.
    pub error: Option<Value>,
    /// When it was begun first.
    pub started_at: Option<Timestamp>,
    /// When it was done, undone, or failed for good.
    pub finished_at: Option<Timestamp>,
}

/// Which operations are wanted: those that fit all that is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OperationFilter {
    /// On this tenant.
    pub tenant: Option<TenantId>,
    /// On one of these tenants; on any, or none, if not set.
    pub among: Option<Vec<TenantId>>,
    /// In this state.
    pub state: Option<OperationState>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Only those that are not finished.
    pub unfinished: bool,
}

impl Catalog {
    /// One operation.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn operation_get(&self, id: OperationId) -> Result<Option<OperationRecord>, CatalogError> {
        let row = self.row("select * from catalog.operations where id = $1", &[uuid(id.as_uuid())]).await?;
        row.as_ref().map(operation_of_row).transpose()
    }

    /// The operation that a tenant is in the middle of, if any.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn operation_unfinished(
        &self,
        tenant: TenantId,
    ) -> Result<Option<OperationRecord>, CatalogError> {
        let sql = "select * from catalog.operations where tenant_id = $1 and finished_at is null";
        let row = self.row(sql, &[uuid(tenant.as_uuid())]).await?;
        row.as_ref().map(operation_of_row).transpose()
    }

    /// Operations, the newest first, a page at a time.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn operations(
        &self,
        filter: &OperationFilter,
        page: &Page<OperationId>,
    ) -> Result<Vec<OperationRecord>, CatalogError> {
        let sql = "select * from catalog.operations where ($1::uuid is null or id < $1)
                     and ($2::uuid is null or tenant_id = $2) and ($3::text is null or state = $3)
                     and ($4::text is null or kind = $4) and (not $5 or finished_at is null)
                     and ($6::uuid[] is null or tenant_id = any($6))
                   order by id desc limit $7";
        let args = [
            uuid(page.after.map(OperationId::as_uuid)),
            uuid(filter.tenant.map(TenantId::as_uuid)),
            text(filter.state.map(OperationState::as_str)),
            text(filter.kind.as_deref()),
            boolean(filter.unfinished),
            uuids(filter.among.as_deref().map(ids)),
            bigint(page.limit()),
        ];
        self.rows(sql, &args).await?.iter().map(operation_of_row).collect()
    }

    /// An operation's steps, in their order.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn operation_steps(&self, id: OperationId) -> Result<Vec<StepRecord>, CatalogError> {
        self.rows(STEPS, &[uuid(id.as_uuid())]).await?.iter().map(step_of_row).collect()
    }
}

pub(crate) const STEPS: &str =
    "select * from catalog.operation_steps where operation_id = $1 order by ordinal";

pub(crate) fn operation_of_row(row: &Row) -> Result<OperationRecord, CatalogError> {
    Ok(OperationRecord {
        id: row.id("id")?,
        kind: row.value("kind")?,
        tenant: row.id_opt("tenant_id")?,
        state: row.word("state")?,
        direction: row.word("direction")?,
        params: row.value("params")?,
        outputs: row.value("outputs")?,
        attempt: row.number("attempt")?,
        claimed_by: row.value("claimed_by")?,
        lease_expires_at: row.value("lease_expires_at")?,
        next_run_at: row.value("next_run_at")?,
        error: row.value("error")?,
        cancel_requested: row.value("cancel_requested")?,
        actor: row.value("actor")?,
        request_id: row.value("request_id")?,
        created_at: row.value("created_at")?,
        updated_at: row.value("updated_at")?,
        finished_at: row.value("finished_at")?,
    })
}

pub(crate) fn step_of_row(row: &Row) -> Result<StepRecord, CatalogError> {
    Ok(StepRecord {
        ordinal: row.number("ordinal")?,
        name: row.value("name")?,
        state: row.word("state")?,
        attempt: row.number("attempt")?,
        output: row.value("output")?,
        error: row.value("error")?,
        started_at: row.value("started_at")?,
        finished_at: row.value("finished_at")?,
    })
}
