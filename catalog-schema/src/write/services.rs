//! Service credentials: what checks them is stored, never what opens anything.

use crate::error::CatalogError;
use crate::read::services::{ServiceDetail, service_of_row};
use crate::row::Columns;
use crate::sql::{bigint, bytes, text, timestamp, uuid, uuids};
use crate::tx::Tx;
use jiff::Timestamp;
use serde_json::json;
use tenancy::{Role, ServiceId, TenantId};

/// Every gateway keeps all live ones in memory: there may not be more than this.
pub const SERVICES_LIVE_MAX: u32 = 1_000;

/// The most tenants that one may be limited to.
pub const SERVICE_TENANTS_MAX: usize = 100;

/// Whoever makes one takes this lock: "service" in ASCII, cut to four bytes.
const SERVICES_LOCK: i64 = 0x7365_7276;

/// A service credential to add.
#[derive(Debug, Clone)]
pub struct NewService {
    /// Its id.
    pub id: ServiceId,
    /// What people call it.
    pub name: String,
    /// The key's first characters.
    pub key_prefix: String,
    /// SHA-256 of the whole key.
    pub key_hash: [u8; 32],
    /// What it may do in a tenant that it acts for.
    pub role: Role,
    /// The tenants that it may act for; none for every one.
    pub tenants: Option<Vec<TenantId>>,
    /// From when on it opens nothing.
    pub expires_at: Timestamp,
}

impl Tx {
    /// Adds a service credential.
    ///
    /// # Errors
    /// [`CatalogError::LimitReached`], [`CatalogError::NotFound`] when one of the tenants does not live, or when the
    /// catalog is unavailable.
    pub async fn service_create(&mut self, new: &NewService) -> Result<ServiceDetail, CatalogError> {
        self.execute("select pg_advisory_xact_lock($1)", &[bigint(SERVICES_LOCK)]).await?;
        let live = "select count(*) as live from catalog.service_credentials
                    where revoked_at is null and expires_at > now()";
        let live: u32 = self.row(live, &[]).await?.map_or(Ok(0), |row| row.number("live"))?;
        if live >= SERVICES_LIVE_MAX {
            return Err(CatalogError::LimitReached {
                what: "live service credentials",
                max: SERVICES_LIVE_MAX,
            });
        }
        let tenants: Option<Vec<_>> =
            new.tenants.as_ref().map(|tenants| tenants.iter().map(|tenant| tenant.as_uuid()).collect());
        let missing = "select u.id from unnest($1::uuid[]) as u (id)
                       where not exists (select from catalog.tenants t where t.id = u.id and t.state <> 'deleted')";
        if self.row(missing, &[uuids(tenants.clone())]).await?.is_some() {
            return Err(CatalogError::NotFound { what: "tenant" });
        }
        let sql = "insert into catalog.service_credentials
                     (id, name, key_prefix, key_hash, role, tenants, expires_at)
                   values ($1, $2, $3, $4, $5, $6, $7) returning *";
        let args = [
            uuid(new.id.as_uuid()),
            text(new.name.as_str()),
            text(new.key_prefix.as_str()),
            bytes(new.key_hash.as_slice()),
            text(new.role.as_str()),
            uuids(tenants),
            timestamp(new.expires_at),
        ];
        let row = self.row(sql, &args).await?;
        let detail = json!({
            "service": new.id, "key_prefix": new.key_prefix, "role": new.role, "tenants": new.tenants,
            "expires_at": new.expires_at,
        });
        self.audit("service.create", None, &new.name, detail);
        service_of_row(&row.ok_or(CatalogError::NotFound { what: "service credential" })?)
    }

    /// Revokes a service credential; one that is revoked already stays so.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], or when the catalog is unavailable.
    pub async fn service_revoke(&mut self, id: ServiceId) -> Result<ServiceDetail, CatalogError> {
        let sql = "update catalog.service_credentials set revoked_at = coalesce(revoked_at, now())
                   where id = $1 returning *";
        let row = self.row(sql, &[uuid(id.as_uuid())]).await?;
        let service = service_of_row(&row.ok_or(CatalogError::NotFound { what: "service credential" })?)?;
        self.audit("service.revoke", None, &service.name, json!({ "service": id }));
        Ok(service)
    }
}
