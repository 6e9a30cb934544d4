//! Clusters.

use crate::error::CatalogError;
use crate::read::clusters::{ClusterDetail, admin_context, cluster_where, detail_of_row};
use crate::read::routes::ClusterTls;
use crate::row::Columns;
use crate::sql::{bigint, bytes, text, uuid};
use crate::tx::Tx;
use serde_json::json;
use tenancy::{ClusterId, ClusterName, ClusterState, RegionName, Secret, TlsMode};

/// A server to register. Whoever fills this in has looked at the server itself.
#[derive(Debug, Clone)]
pub struct NewCluster {
    /// Its id.
    pub id: ClusterId,
    /// What people call it.
    pub name: ClusterName,
    /// Where it stands.
    pub region: RegionName,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The user that the control plane logs in as.
    pub admin_user: String,
    /// The database that the control plane logs in to.
    pub admin_database: String,
    /// The user's password; empty when the server asks for none. Stored sealed.
    pub admin_password: Secret,
    /// What the server calls itself.
    pub system_identifier: String,
    /// Its `server_version_num`.
    pub server_version_num: u32,
    /// The most server connections that gateways may hold to it together.
    pub connection_budget: u32,
    /// The most tenants that may be placed on it.
    pub capacity: u32,
    /// How connections to it are secured.
    pub tls: ClusterTls,
}

/// What of a cluster is to change; unset stays.
#[derive(Debug, Clone, Default)]
pub struct ClusterPatch {
    /// Whether it is served and takes new tenants.
    pub state: Option<ClusterState>,
    /// Host name or address, after the same server moved.
    pub host: Option<String>,
    /// TCP port.
    pub port: Option<u16>,
    /// The user that the control plane logs in as.
    pub admin_user: Option<String>,
    /// That user's password. Stored sealed.
    pub admin_password: Option<Secret>,
    /// Its `server_version_num`, after an upgrade.
    pub server_version_num: Option<u32>,
    /// The most server connections that gateways may hold to it together.
    pub connection_budget: Option<u32>,
    /// The most tenants that may be placed on it. Fewer than there are moves nobody away.
    pub capacity: Option<u32>,
    /// What connections to it demand of TLS.
    pub tls_mode: Option<TlsMode>,
    /// The authorities' certificates, in PEM. Empty stands for those that the system trusts.
    pub tls_ca: Option<String>,
    /// The name that the server's certificate is for. Empty stands for its host.
    pub tls_server_name: Option<String>,
}

impl Tx {
    /// Registers a cluster, active.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`] when its name or the server itself is known already,
    /// [`CatalogError::Refused`] when its region is not, or when the catalog is unavailable.
    pub async fn cluster_create(&mut self, new: &NewCluster) -> Result<ClusterDetail, CatalogError> {
        let sealed = self.key.seal(&admin_context(new.id), &new.admin_password)?;
        let sql = "insert into catalog.clusters (id, name, region, host, port, admin_user, admin_database,
                     admin_secret, system_identifier, server_version_num, connection_budget, capacity,
                     tls_mode, tls_ca, tls_server_name)
                   values ($1, $2, $3, $4, $5::bigint, $6, $7, $8, $9, $10::bigint, $11::bigint, $12::bigint,
                     $13, $14, $15)";
        let args = [
            uuid(new.id.as_uuid()),
            text(new.name.as_str()),
            text(new.region.as_str()),
            text(new.host.as_str()),
            bigint(i64::from(new.port)),
            text(new.admin_user.as_str()),
            text(new.admin_database.as_str()),
            bytes(sealed.as_slice()),
            text(new.system_identifier.as_str()),
            bigint(i64::from(new.server_version_num)),
            bigint(i64::from(new.connection_budget)),
            bigint(i64::from(new.capacity)),
            text(new.tls.mode.as_str()),
            text(new.tls.ca.as_deref()),
            text(new.tls.server_name.as_deref()),
        ];
        self.execute(sql, &args).await?;
        let detail = json!({
            "region": new.region, "host": new.host, "port": new.port, "tls_mode": new.tls.mode,
            "tls_server_name": new.tls.server_name, "tls_ca_given": new.tls.ca.is_some(),
        });
        self.audit("cluster.create", None, new.name.as_str(), detail);
        self.cluster_read(new.id).await
    }

    /// Changes a cluster, if it still is at `expected_version`.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], [`CatalogError::StaleVersion`], or when the catalog is unavailable.
    pub async fn cluster_update(
        &mut self,
        id: ClusterId,
        expected_version: Option<i64>,
        patch: &ClusterPatch,
    ) -> Result<ClusterDetail, CatalogError> {
        let sql = "select version from catalog.clusters where id = $1 for no key update";
        let row = self.row(sql, &[uuid(id.as_uuid())]).await?;
        let current: i64 = row.ok_or(CatalogError::NotFound { what: "cluster" })?.value("version")?;
        if expected_version.is_some_and(|expected| expected != current) {
            return Err(CatalogError::StaleVersion { current });
        }
        let sealed = patch.admin_password.as_ref().map(|secret| self.key.seal(&admin_context(id), secret));
        let sealed = sealed.transpose()?;
        let sql = "update catalog.clusters set
                     state = coalesce($2, state), host = coalesce($3, host), port = coalesce($4::bigint, port),
                     admin_user = coalesce($5, admin_user), admin_secret = coalesce($6, admin_secret),
                     server_version_num = coalesce($7::bigint, server_version_num),
                     connection_budget = coalesce($8::bigint, connection_budget),
                     capacity = coalesce($9::bigint, capacity), tls_mode = coalesce($10, tls_mode),
                     tls_ca = nullif(coalesce($11, tls_ca), ''),
                     tls_server_name = nullif(coalesce($12, tls_server_name), '')
                   where id = $1";
        let args = [
            uuid(id.as_uuid()),
            text(patch.state.map(ClusterState::as_str)),
            text(patch.host.as_deref()),
            bigint(patch.port.map(i64::from)),
            text(patch.admin_user.as_deref()),
            bytes(sealed.as_deref()),
            bigint(patch.server_version_num.map(i64::from)),
            bigint(patch.connection_budget.map(i64::from)),
            bigint(patch.capacity.map(i64::from)),
            text(patch.tls_mode.map(TlsMode::as_str)),
            text(patch.tls_ca.as_deref()),
            text(patch.tls_server_name.as_deref()),
        ];
        self.execute(sql, &args).await?;
        let changed = self.cluster_read(id).await?;
        let detail = json!({
            "state": patch.state, "host": patch.host, "port": patch.port, "admin_user": patch.admin_user,
            "admin_password_changed": patch.admin_password.is_some(),
            "connection_budget": patch.connection_budget, "capacity": patch.capacity,
            "tls_mode": patch.tls_mode, "tls_ca_changed": patch.tls_ca.is_some(),
            "tls_server_name": patch.tls_server_name,
        });
        self.audit("cluster.update", None, changed.cluster.name.as_str(), detail);
        Ok(changed)
    }

    async fn cluster_read(&mut self, id: ClusterId) -> Result<ClusterDetail, CatalogError> {
        let row = self.row(&cluster_where("c.id = $1"), &[uuid(id.as_uuid())]).await?;
        detail_of_row(&row.ok_or(CatalogError::NotFound { what: "cluster" })?)
    }
}
