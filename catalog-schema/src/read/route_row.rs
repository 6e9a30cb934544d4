//! The statement behind a route, and its row. One statement, so that a route is all of one moment.

use crate::error::CatalogError;
use crate::key::MasterKey;
use crate::read::allow_lists::ALLOW_LIST;
use crate::read::clusters::{CLUSTER_COLUMNS, cluster_of_row};
use crate::read::features::{OWN_FEATURES, own_features};
use crate::read::issuers::{external_ids_of_json, issuers_of_json, route_columns};
use crate::read::logins::{LOGIN_COLUMNS, logins_of_row};
use crate::read::revocations::{REVOCATIONS, revocations};
use crate::read::routes::{CredentialKind, CredentialRecord, PlacementRecord, RouteRecord};
use crate::row::Columns;
use jiff::Timestamp;
use serde::Deserialize;
use std::sync::{Arc, LazyLock};
use tenancy::{CredentialId, Generation, KeyScope, Limits, PoolMode, Role, TenantId, UserName};
use tokio_postgres::Row;

/// The route of the tenant whose id `tenant` is an expression for.
fn route(tenant: &str) -> String {
    format!(
        "
select t.id, t.slug, t.plan, t.state, t.isolation, t.generation, t.region, t.allowed_regions,
  array(select a.slug from catalog.slug_aliases a
        where a.tenant_id = t.id and a.expires_at > now() order by a.slug) as aliases,
  coalesce(e.pool_size, l.pool_size) as pool_size,
  coalesce(e.client_limit, l.client_limit) as client_limit,
  coalesce(e.queue_limit, l.queue_limit) as queue_limit,
  coalesce(e.checkout_timeout_ms, l.checkout_timeout_ms) as checkout_timeout_ms,
  coalesce(e.floor, l.floor) as floor, coalesce(e.weight, l.weight) as weight,
  coalesce(e.requests_per_second, l.requests_per_second) as requests_per_second,
  coalesce(e.request_burst, l.request_burst) as request_burst,
  coalesce(e.statement_timeout_ms, l.statement_timeout_ms) as statement_timeout_ms,
  coalesce(e.idle_in_transaction_timeout_ms, l.idle_in_transaction_timeout_ms) as idle_in_transaction_timeout_ms,
  coalesce(e.work_mem_kb, l.work_mem_kb) as work_mem_kb,
  coalesce(e.result_bytes_max, l.result_bytes_max) as result_bytes_max,
  coalesce(e.body_bytes_max, l.body_bytes_max) as body_bytes_max,
  coalesce(e.storage_soft_bytes, l.storage_soft_bytes) as storage_soft_bytes,
  coalesce(e.storage_hard_bytes, l.storage_hard_bytes) as storage_hard_bytes,
  coalesce(catalog.storage_standing(u.bytes, u.sealed_bytes, coalesce(e.storage_soft_bytes, l.storage_soft_bytes),
    coalesce(e.storage_hard_bytes, l.storage_hard_bytes)), 'within') as storage_standing,
  coalesce(rs.epoch, 0) as settings_epoch,
  p.database_name, p.database_oid, p.role_name, p.keys,
  {LOGIN_COLUMNS},
  {CLUSTER_COLUMNS},
  (select coalesce(jsonb_agg(jsonb_build_object('id', k.id, 'kind', k.kind, 'role', k.role,
      'expires_at', k.expires_at, 'pool_mode', k.pool_mode, 'user_name', k.user_name, 'verifier', k.verifier,
      'key_prefix', k.key_prefix, 'key_hash', encode(k.key_hash, 'hex'), 'scope', k.scope) order by k.id), '[]'::jsonb)
   from catalog.credentials k
   where k.tenant_id = t.id and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
  ) as credentials,
  {OWN_FEATURES} as features,
  {ALLOW_LIST} as allow_list,
  {REVOCATIONS},
  {}
from catalog.tenants t
join catalog.plans l on l.name = t.plan
left join catalog.entitlements e on e.tenant_id = t.id
left join catalog.placements p on p.tenant_id = t.id
left join catalog.clusters c on c.id = p.cluster_id
left join catalog.storage_use u on u.tenant_id = t.id
left join catalog.role_settings rs on rs.tenant_id = t.id
where t.state <> 'deleted' and t.id = {tenant}",
        route_columns()
    )
}

/// A route takes PostgreSQL a millisecond to read and ten to plan: these are for prepared statements.
pub(crate) static BY_ID: LazyLock<String> = LazyLock::new(|| route("$1"));
pub(crate) static BY_SLUG: LazyLock<String> = LazyLock::new(|| route(TENANT_OF_SLUG));

/// The id of the living tenant that `$1` names, now or until lately. A name of its own goes before an alias.
pub(crate) const TENANT_OF_SLUG: &str = "coalesce(
  (select s.id from catalog.tenants s where s.slug = $1 and s.state <> 'deleted'),
  (select a.tenant_id from catalog.slug_aliases a where a.slug = $1 and a.expires_at > now()))";

pub(crate) fn decode(row: &Row, key: &MasterKey) -> Result<RouteRecord, CatalogError> {
    let tenant_id: TenantId = row.id("id")?;
    let credentials: serde_json::Value = row.value("credentials")?;
    let credentials: Vec<StoredCredential> =
        serde_json::from_value(credentials).map_err(|why| CatalogError::corrupt("credentials", why))?;
    let mut credentials =
        credentials.into_iter().map(TryInto::try_into).collect::<Result<Vec<CredentialRecord>, _>>()?;
    // A route is kept for long.
    credentials.shrink_to_fit();
    Ok(RouteRecord {
        tenant_id,
        slug: row.word("slug")?,
        aliases: row.words("aliases")?,
        state: row.word("state")?,
        plan: row.word("plan")?,
        isolation: row.word("isolation")?,
        generation: Generation::new(row.value("generation")?),
        region: row.word("region")?,
        allowed_regions: row.words("allowed_regions")?,
        limits: limits_of_row(row)?,
        storage: row.word("storage_standing")?,
        settings_epoch: row.value("settings_epoch")?,
        placement: placement(row, tenant_id, key)?,
        credentials,
        features: own_features(row.value("features")?)?,
        allow_list: row.words("allow_list")?,
        revoked: revocations(row.value("revoked")?)?,
        issuers: issuers_of_json(row.value("issuers")?)?,
        external_ids: external_ids_of_json(row.value("external_ids")?)?,
    })
}

pub(crate) fn limits_of_row(row: &Row) -> Result<Limits, CatalogError> {
    Ok(Limits {
        pool_size: row.number("pool_size")?,
        client_limit: row.number("client_limit")?,
        queue_limit: row.number("queue_limit")?,
        checkout_timeout_ms: row.number("checkout_timeout_ms")?,
        floor: row.number("floor")?,
        weight: row.number("weight")?,
        requests_per_second: row.number("requests_per_second")?,
        request_burst: row.number("request_burst")?,
        statement_timeout_ms: row.number("statement_timeout_ms")?,
        idle_in_transaction_timeout_ms: row.number("idle_in_transaction_timeout_ms")?,
        work_mem_kb: row.number("work_mem_kb")?,
        result_bytes_max: row.number("result_bytes_max")?,
        body_bytes_max: row.number("body_bytes_max")?,
        storage_soft_bytes: row.number("storage_soft_bytes")?,
        storage_hard_bytes: row.number("storage_hard_bytes")?,
    })
}

fn placement(row: &Row, tenant: TenantId, key: &MasterKey) -> Result<Option<PlacementRecord>, CatalogError> {
    let Some(database) = row.word_opt("database_name")? else { return Ok(None) };
    let Some(logins) = logins_of_row(row, tenant, key)? else { return Ok(None) };
    Ok(Some(PlacementRecord {
        cluster: Arc::new(cluster_of_row(row)?),
        database,
        database_oid: row.number_opt("database_oid")?,
        logins,
    }))
}

/// A credential as the statement above gathers it.
#[derive(Deserialize)]
struct StoredCredential {
    id: CredentialId,
    kind: String,
    role: Role,
    expires_at: Option<Timestamp>,
    pool_mode: Option<PoolMode>,
    user_name: Option<UserName>,
    verifier: Option<String>,
    key_prefix: Option<String>,
    key_hash: Option<String>,
    scope: KeyScope,
}

impl TryFrom<StoredCredential> for CredentialRecord {
    type Error = CatalogError;
    fn try_from(stored: StoredCredential) -> Result<Self, CatalogError> {
        let kind = match stored {
            StoredCredential { user_name: Some(user), verifier: Some(verifier), .. } => {
                CredentialKind::Password { user, verifier }
            }
            StoredCredential { key_prefix: Some(prefix), key_hash: Some(hash), scope, .. } => {
                CredentialKind::ApiKey { prefix, hash: key_hash(&hash)?, scope }
            }
            _ => return Err(CatalogError::corrupt("credential", format!("{} is incomplete", stored.kind))),
        };
        let StoredCredential { id, role, expires_at, pool_mode, .. } = stored;
        Ok(Self { id, role, expires_at, pool_mode, kind })
    }
}

fn key_hash(hex: &str) -> Result<[u8; 32], CatalogError> {
    let damaged = || CatalogError::corrupt("key_hash", "it is not 32 bytes");
    let mut hash = [0; 32];
    if hex.len() != 2 * hash.len() {
        return Err(damaged());
    }
    for (byte, pair) in hash.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(pair).map_err(|_| damaged())?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| damaged())?;
    }
    Ok(hash)
}
