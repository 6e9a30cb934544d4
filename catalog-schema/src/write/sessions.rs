//! Sessions, and the leave to issue gateway tokens in one. A session's end is told to the gateways of the tenants that
//! it has tokens for, by the catalog itself.

use crate::catalog::Catalog;
use crate::error::CatalogError;
use crate::read::members::{membership, membership_of_row};
use crate::read::sessions::{SESSION, SessionMethod, SessionRecord, session_of_row};
use crate::row::Columns;
use crate::sql::{bigint, bytes, millis, text, timestamp, uuid};
use crate::tx::Tx;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::time::Duration;
use tenancy::{MemberRole, SessionId, TenantId, UserId};

/// Sessions of a user that last at once; one more ends the oldest.
pub const SESSIONS_LIVE_MAX: u32 = 50;

/// How far ahead a token may be dated. It takes as many changes of one membership in a second, each with a token in
/// between, to come that far; then its holder waits.
const AHEAD_MAX: SignedDuration = SignedDuration::from_secs(30);

/// A session to begin.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// Whose.
    pub user: UserId,
    /// How they proved who they are.
    pub method: SessionMethod,
    /// SHA-256 of the token that shows it.
    pub token_hash: [u8; 32],
    /// How long it lasts.
    pub lasts: Duration,
}

/// Leave to issue a gateway token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenGrant {
    /// What the user is in the tenant.
    pub role: MemberRole,
    /// The token's time of issue, in whole seconds. Mostly now, or ahead by so much that it lies behind whatever refuses
    /// the tokens of before.
    pub issued_at: Timestamp,
    /// The token's end, at the latest.
    pub until: Timestamp,
    /// The session's end, and with it that of whatever the token opens.
    pub session_ends: Timestamp,
}

impl Tx {
    /// Begins a session for a user who has proved who they are.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when there is no such user or nothing lets them in, or when the catalog is unavailable.
    pub async fn session_create(&mut self, new: &NewSession) -> Result<SessionRecord, CatalogError> {
        // Takes turns with whoever disables the user.
        let enabled = "select id from catalog.users where id = $1 and disabled_at is null for no key update";
        self.row(enabled, &[uuid(new.user.as_uuid())])
            .await?
            .ok_or(CatalogError::NotFound { what: "user" })?;
        let crowd = "update catalog.sessions set revoked_at = now() where id in
                       (select id from catalog.sessions where user_id = $1 and revoked_at is null and expires_at > now()
                        order by id desc offset $2)";
        let others = bigint(i64::from(SESSIONS_LIVE_MAX) - 1);
        self.execute(crowd, &[uuid(new.user.as_uuid()), others]).await?;
        let sql = "insert into catalog.sessions (id, user_id, token_hash, method, expires_at)
                   values ($1, $2, $3, $4, now() + $5 * interval '1 millisecond')";
        let args = [
            uuid(new.id.as_uuid()),
            uuid(new.user.as_uuid()),
            bytes(new.token_hash.as_slice()),
            text(new.method.as_str()),
            millis(new.lasts),
        ];
        self.execute(sql, &args).await?;
        let row = self.row(&format!("{SESSION} where s.id = $1"), &[uuid(new.id.as_uuid())]).await?;
        let session = session_of_row(&row.ok_or(CatalogError::NotFound { what: "session" })?)?;
        let detail = json!({ "session": new.id, "user": new.user, "method": new.method.as_str() });
        self.audit("session.create", None, session.email.as_str(), detail);
        Ok(session)
    }

    /// Ends a user's session; one that was ended stays so.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when the user has no such session, or when the catalog is unavailable.
    pub async fn session_revoke(&mut self, user: UserId, id: SessionId) -> Result<(), CatalogError> {
        let email = self.lock_user(user).await?.email;
        let sql = "update catalog.sessions set revoked_at = coalesce(revoked_at, now()) where user_id = $1 and id = $2";
        if self.execute(sql, &[uuid(user.as_uuid()), uuid(id.as_uuid())]).await? == 0 {
            return Err(CatalogError::NotFound { what: "session" });
        }
        self.audit("session.revoke", None, email.as_str(), json!({ "session": id, "user": user }));
        Ok(())
    }

    /// Ends all of a user's sessions but `keep`, and says how many there were.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when there is no such user, or when the catalog is unavailable.
    pub async fn sessions_revoke(
        &mut self,
        user: UserId,
        keep: Option<SessionId>,
    ) -> Result<u64, CatalogError> {
        let email = self.lock_user(user).await?.email;
        let lasting = "select id from catalog.sessions
                       where user_id = $1 and revoked_at is null and expires_at > now() and id is distinct from $2";
        let lasting = self.rows(lasting, &[uuid(user.as_uuid()), uuid(keep.map(SessionId::as_uuid))]).await?;
        let mut ended = 0;
        for row in &lasting {
            // One at a time: each is told of in every tenant that it had tokens for, and a statement may take only so long.
            let sql = "update catalog.sessions set revoked_at = now() where id = $1";
            ended += self.execute(sql, &[uuid(row.id::<SessionId>("id")?.as_uuid())]).await?;
        }
        let detail = json!({ "user": user, "kept": keep, "ended": ended });
        self.audit("session.revoke-all", None, email.as_str(), detail);
        Ok(ended)
    }

    /// Gives leave for a gateway token of at most `lasts` for `tenant` in a session, and notes that there is one.
    ///
    /// Whoever ends the session or changes the membership meanwhile waits for this transaction and is waited for: a
    /// token is either issued by the new state of things or known to be refused.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] of a "session" that is over, of a "tenant" that the user is no member of,
    /// [`CatalogError::Busy`] when the membership changes all the time, or when the catalog is unavailable.
    pub async fn token_grant(
        &mut self,
        session: SessionId,
        tenant: TenantId,
        lasts: Duration,
    ) -> Result<TokenGrant, CatalogError> {
        let of = "select user_id, expires_at from catalog.sessions where id = $1";
        let row = self.row(of, &[uuid(session.as_uuid())]).await?;
        let row = row.ok_or(CatalogError::NotFound { what: "session" })?;
        let (user, session_ends): (UserId, Timestamp) = (row.id("user_id")?, row.value("expires_at")?);
        if !self.session_stands(user, session).await? {
            return Err(CatalogError::NotFound { what: "session" });
        }
        let role = self.member_for_token(tenant, user).await?;
        let issued_at = self.time_of_issue(tenant, user, session).await?;
        let until = issued_at.checked_add(lasts).unwrap_or(Timestamp::MAX).min(session_ends);
        let note =
            "insert into catalog.session_tenants (session_id, tenant_id, issued_at) values ($1, $2, $3)
                    on conflict (session_id, tenant_id) do update
                      set issued_at = greatest(session_tenants.issued_at, excluded.issued_at)";
        let args = [uuid(session.as_uuid()), uuid(tenant.as_uuid()), timestamp(issued_at)];
        self.execute(note, &args).await?;
        let slug = self.slug_of(tenant).await?;
        let detail = json!({ "session": session, "user": user, "role": role.name(), "until": until });
        self.audit("session.switch", Some(tenant), &slug, detail);
        Ok(TokenGrant { role, issued_at, until, session_ends })
    }

    /// Now, or as soon as nothing refuses what is issued then. In a statement of its own: it sees what those have
    /// committed who were waited for.
    async fn time_of_issue(
        &mut self,
        tenant: TenantId,
        user: UserId,
        session: SessionId,
    ) -> Result<Timestamp, CatalogError> {
        let sql = "select date_trunc('second', clock_timestamp()) as now, max(r.before) as behind
                   from catalog.token_revocations r
                   where r.tenant_id = $1 and (r.user_id is null or r.user_id = $2)
                     and (r.session_id is null or r.session_id = $3)";
        let args = [uuid(tenant.as_uuid()), uuid(user.as_uuid()), uuid(session.as_uuid())];
        let row = self.row(sql, &args).await?;
        let row = row.ok_or_else(|| CatalogError::corrupt("before", "an aggregate has one row"))?;
        let (now, behind): (Timestamp, Option<Timestamp>) = (row.value("now")?, row.value("behind")?);
        let issued_at = behind.map_or(now, |behind| behind.max(now));
        if issued_at.duration_since(now) > AHEAD_MAX {
            return Err(CatalogError::Busy);
        }
        Ok(issued_at)
    }

    /// What the user is in the tenant, which stays so until the end of the transaction.
    async fn member_for_token(&mut self, tenant: TenantId, user: UserId) -> Result<MemberRole, CatalogError> {
        let lock = "select h.tenant_id from catalog.memberships h
                    where h.tenant_id = $1 and h.user_id = $2 for share of h";
        let custom =
            "select r.id from catalog.custom_roles r join catalog.memberships h on h.custom_role = r.id
                      where h.tenant_id = $1 and h.user_id = $2 for share of r";
        let args = [uuid(tenant.as_uuid()), uuid(user.as_uuid())];
        self.rows(lock, &args).await?;
        self.rows(custom, &args).await?;
        let sql = format!("{} where h.tenant_id = $1 and h.user_id = $2", membership());
        let row = self.row(&sql, &args).await?.ok_or(CatalogError::NotFound { what: "tenant" })?;
        Ok(membership_of_row(&row)?.role)
    }
}

impl Catalog {
    /// Notes that a session is used, if that was not noted within the last minute. Not worth an audit row.
    ///
    /// # Errors
    /// When the catalog is unavailable.
    pub async fn session_used(&self, id: SessionId) -> Result<(), CatalogError> {
        let sql = "update catalog.sessions set last_used_at = now()
                   where id = $1 and last_used_at < now() - interval '1 minute'";
        self.session().await?.execute(sql, &[uuid(id.as_uuid())]).await.map(drop)
    }
}
