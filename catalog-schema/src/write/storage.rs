//! Measuring what tenants' databases take: whose turn it is, and what came of it.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::row::Columns;
use crate::sql::{bigint, bigints, millis, uuid, uuids};
use crate::tx::Tx;
use serde_json::json;
use std::time::Duration;
use tenancy::{ClusterId, StorageStanding, TenantId};

/// How long what still writes when a tenant is sealed may take to end. What it has written by then is not held against
/// the tenant.
const SEAL_SETTLED: Duration = Duration::from_secs(5);

/// A database whose size is to be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueDatabase {
    /// Whose.
    pub tenant: TenantId,
    /// The database's oid.
    pub oid: u32,
}

/// What a database was measured at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measurement {
    /// Whose.
    pub tenant: TenantId,
    /// Bytes.
    pub bytes: u64,
}

/// A tenant that stands otherwise with its quota than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StandingChange {
    /// Who.
    pub tenant: TenantId,
    /// How it stood.
    pub before: StorageStanding,
    /// How it stands.
    pub after: StorageStanding,
    /// What its database takes.
    pub bytes: u64,
}

impl Catalog {
    /// Clusters on which something is due to be measured.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn storage_due_clusters(&self) -> Result<Vec<ClusterId>, CatalogError> {
        let sql = "select c.id from catalog.clusters c where exists (
                     select from catalog.storage_use u where u.cluster_id = c.id and u.due_at <= statement_timestamp())
                   order by c.id";
        self.rows(sql, &[]).await?.iter().map(|row| row.id("id")).collect()
    }

    /// Databases of a cluster that are due, and no longer are: whoever was given them measures them. The next turn of
    /// each comes an `interval` later, whatever comes of this one.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn storage_claim(
        &self,
        cluster: ClusterId,
        interval: Duration,
        count: u32,
    ) -> Result<Vec<DueDatabase>, CatalogError> {
        // Whoever is not served now waits for a turn of its own, so that it is not found again and again.
        let sql = "with due as (
                     select tenant_id from catalog.storage_use
                     where cluster_id = $1 and due_at <= statement_timestamp()
                     order by due_at limit $3 for no key update skip locked),
                   claimed as (
                     update catalog.storage_use u
                     set due_at = clock_timestamp() + $2 * interval '1 millisecond'
                     from due where u.tenant_id = due.tenant_id
                     returning u.tenant_id)
                   select p.tenant_id, p.database_oid
                   from claimed join catalog.placements p using (tenant_id) join catalog.tenants t on t.id = p.tenant_id
                   where p.database_oid is not null and t.state in ('active', 'suspended')";
        let args = [uuid(cluster.as_uuid()), millis(interval), bigint(i64::from(count))];
        let rows = self.rows(sql, &args).await?;
        let due = |row: &_| {
            let row: &tokio_postgres::Row = row;
            Ok(DueDatabase { tenant: row.id("tenant_id")?, oid: row.number("database_oid")? })
        };
        rows.iter().map(due).collect()
    }

    /// How many tenants stand how with their quota, those left out that nobody stands as.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn storage_standings(&self) -> Result<Vec<(StorageStanding, u64)>, CatalogError> {
        let sql = "select standing, count(*) as tenants from catalog.storage_use group by standing";
        let rows = self.rows(sql, &[]).await?;
        rows.iter().map(|row| Ok((row.word("standing")?, row.number("tenants")?))).collect()
    }
}

impl Tx {
    /// Records measurements. Returns who stands otherwise than before; gateways are told of those.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn storage_measured(
        &mut self,
        measured: &[Measurement],
    ) -> Result<Vec<StandingChange>, CatalogError> {
        let settled = i64::try_from(SEAL_SETTLED.as_secs()).unwrap_or(i64::MAX);
        let sql = "with measured as (select * from unnest($1::uuid[], $2::bigint[]) as m (tenant_id, bytes)),
                   before as (
                     select u.tenant_id, u.standing, u.sealed_since, u.sealed_bytes
                     from catalog.storage_use u join measured using (tenant_id)
                     order by u.tenant_id for no key update of u),
                   quotas as (
                     select b.tenant_id, b.standing as before, b.sealed_since, m.bytes,
                       case when b.sealed_since <= clock_timestamp() - $3 * interval '1 second'
                         then b.sealed_bytes else m.bytes end as sealed_bytes,
                       coalesce(e.storage_soft_bytes, l.storage_soft_bytes) as soft,
                       coalesce(e.storage_hard_bytes, l.storage_hard_bytes) as hard
                     from before b
                     join measured m on m.tenant_id = b.tenant_id
                     join catalog.tenants t on t.id = b.tenant_id
                     join catalog.plans l on l.name = t.plan
                     left join catalog.entitlements e on e.tenant_id = t.id),
                   found as (
                     select *, catalog.storage_standing(bytes, sealed_bytes, soft, hard) as standing from quotas),
                   written as (
                     update catalog.storage_use u
                     set bytes = f.bytes, measured_at = clock_timestamp(), standing = f.standing,
                       soft_bytes = f.soft, hard_bytes = f.hard,
                       sealed_bytes = case when f.standing in ('sealed', 'closed') then f.sealed_bytes end,
                       sealed_since = case when f.standing in ('sealed', 'closed')
                         then coalesce(f.sealed_since, clock_timestamp()) end
                     from found f
                     where u.tenant_id = f.tenant_id
                     returning u.tenant_id, f.before, u.standing as after, u.bytes)
                   select * from written where before <> after order by tenant_id";
        let tenants = measured.iter().map(|measured| measured.tenant.as_uuid()).collect();
        // What a column cannot hold, no disk can.
        let bytes = measured.iter().map(|one| i64::try_from(one.bytes).unwrap_or(i64::MAX)).collect();
        let rows = self.rows(sql, &[uuids(Some(tenants)), bigints(bytes), bigint(settled)]).await?;
        let mut changes = Vec::with_capacity(rows.len());
        for row in &rows {
            let change = StandingChange {
                tenant: row.id("tenant_id")?,
                before: row.word("before")?,
                after: row.word("after")?,
                bytes: row.number("bytes")?,
            };
            let detail = json!({ "before": change.before, "after": change.after, "bytes": change.bytes });
            self.audit("storage.standing", Some(change.tenant), &change.tenant.to_string(), detail);
            changes.push(change);
        }
        Ok(changes)
    }
}
