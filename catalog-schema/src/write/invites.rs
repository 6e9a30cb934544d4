//! Invites. Each is accepted once, by whoever shows its token in time; only the token's hash is here.

use crate::error::CatalogError;
use crate::read::invites::{InviteRecord, invite, invite_of_row};
use crate::row::Columns;
use crate::sql::{bytes, millis, text, uuid};
use crate::tx::Tx;
use crate::write::roles::role_columns;
use serde_json::json;
use std::time::Duration;
use tenancy::{Email, InviteId, KeyScope, MemberRole, Permissions, Role, TenantId, UserId};

/// Invites of a tenant that can still be accepted, at most.
pub const INVITES_OPEN_MAX: u32 = 500;

/// An invite to make.
#[derive(Debug, Clone)]
pub struct NewInvite {
    /// Its id.
    pub id: InviteId,
    /// To which tenant.
    pub tenant: TenantId,
    /// Who may accept it.
    pub email: Email,
    /// What they will be there.
    pub role: MemberRole,
    /// SHA-256 of the token that accepts it.
    pub token_hash: [u8; 32],
    /// How long it can be accepted.
    pub lasts: Duration,
}

impl Tx {
    /// Invites somebody.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when there is no such living tenant, [`CatalogError::LimitReached`], or when the
    /// catalog is unavailable.
    pub async fn invite_create(&mut self, new: &NewInvite) -> Result<InviteRecord, CatalogError> {
        let living = self.lock_living_tenant(new.tenant).await?;
        let open = "select count(*) as open from catalog.invites
                    where tenant_id = $1 and accepted_at is null and revoked_at is null and expires_at > now()";
        let row = self.row(open, &[uuid(new.tenant.as_uuid())]).await?;
        if row.map_or(Ok(0), |row| row.number::<u32>("open"))? >= INVITES_OPEN_MAX {
            return Err(CatalogError::LimitReached {
                what: "open invites of this tenant",
                max: INVITES_OPEN_MAX,
            });
        }
        let (word, custom) = role_columns(&new.role);
        let actor = self.context.actor.clone();
        let sql = "insert into catalog.invites
                     (id, tenant_id, email, role, custom_role, token_hash, invited_by, expires_at)
                   values ($1, $2, $3, $4, $5, $6, $7, now() + $8 * interval '1 millisecond')";
        let args = [
            uuid(new.id.as_uuid()),
            uuid(new.tenant.as_uuid()),
            text(new.email.as_str()),
            text(word),
            uuid(custom),
            bytes(new.token_hash.as_slice()),
            text(actor.as_str()),
            millis(new.lasts),
        ];
        self.execute(sql, &args).await?;
        let detail = json!({ "invite": new.id, "email": new.email, "role": new.role.name() });
        self.audit("invite.create", Some(new.tenant), living.slug.as_str(), detail);
        self.invite_read(new.tenant, new.id).await
    }

    /// Withdraws an invite; one that was withdrawn stays so.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when the tenant has no such invite, or it was accepted, or when the catalog is
    /// unavailable.
    pub async fn invite_revoke(
        &mut self,
        tenant: TenantId,
        id: InviteId,
    ) -> Result<InviteRecord, CatalogError> {
        let slug = self.slug_of(tenant).await?;
        let sql = "update catalog.invites set revoked_at = coalesce(revoked_at, now())
                   where tenant_id = $1 and id = $2 and accepted_at is null";
        if self.execute(sql, &[uuid(tenant.as_uuid()), uuid(id.as_uuid())]).await? == 0 {
            return Err(CatalogError::NotFound { what: "invite" });
        }
        self.audit("invite.revoke", Some(tenant), &slug, json!({ "invite": id }));
        self.invite_read(tenant, id).await
    }

    /// Marks an invite as used by `user`, who need not exist yet: of two who try, one finds it used. Locks the tenant.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when the invite cannot be accepted (any more), or when the catalog is unavailable.
    pub async fn invite_accept(&mut self, invite: &InviteRecord, user: UserId) -> Result<(), CatalogError> {
        let living = self.lock_living_tenant(invite.tenant).await?;
        let sql = "update catalog.invites set accepted_at = now(), accepted_by = $3
                   where tenant_id = $1 and id = $2 and accepted_at is null and revoked_at is null and expires_at > now()";
        let args = [uuid(invite.tenant.as_uuid()), uuid(invite.id.as_uuid()), uuid(user.as_uuid())];
        if self.execute(sql, &args).await? == 0 {
            return Err(CatalogError::NotFound { what: "invite" });
        }
        let detail = json!({ "invite": invite.id, "user": user });
        self.audit("invite.accept", Some(invite.tenant), living.slug.as_str(), detail);
        Ok(())
    }

    /// What somebody may do to a tenant at this moment, by the name under which they are on record. The tenant is locked.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn permissions_of_actor(
        &mut self,
        tenant: TenantId,
        actor: &str,
    ) -> Result<Permissions, CatalogError> {
        if let Some(user) = actor.strip_prefix("user:").and_then(|id| id.parse().ok()) {
            return match self.membership_read(tenant, user).await {
                Ok(member) if !member.disabled => Ok(member.role.permissions()),
                Ok(_) | Err(CatalogError::NotFound { .. }) => Ok(Permissions::NONE),
                Err(error) => Err(error),
            };
        }
        let Some(prefix) = actor.strip_prefix("key:") else { return Ok(Permissions::ALL) };
        // A key that was replaced and has run out lives on in the one that took its place. One that was revoked does not:
        // whoever revokes a key does not trust what was done with it.
        let sql = "with recursive line as (
                     select c.id, c.role, c.scope, c.revoked_at, c.expires_at from catalog.credentials c
                     where c.tenant_id = $1 and c.key_prefix = $2
                     union
                     select n.id, n.role, n.scope, n.revoked_at, n.expires_at
                     from line l join catalog.credentials n on n.replaces = l.id
                     where n.tenant_id = $1 and l.revoked_at is null)
                   select role, scope from line
                   where revoked_at is null and (expires_at is null or expires_at > now()) order by id limit 1";
        let row = self.row(sql, &[uuid(tenant.as_uuid()), text(prefix)]).await?;
        let Some(row) = row else { return Ok(Permissions::NONE) };
        Ok(row.word::<KeyScope>("scope")?.permissions(row.word::<Role>("role")?))
    }

    async fn invite_read(&mut self, tenant: TenantId, id: InviteId) -> Result<InviteRecord, CatalogError> {
        let sql = format!("{} where h.tenant_id = $1 and h.id = $2", invite());
        let row = self.row(&sql, &[uuid(tenant.as_uuid()), uuid(id.as_uuid())]).await?;
        invite_of_row(&row.ok_or(CatalogError::NotFound { what: "invite" })?)
    }
}
