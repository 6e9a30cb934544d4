//! Sessions: signing in, and what people do for themselves once they have.

mod own;
mod provider;
mod sign_in;
mod switch;

pub(super) use own::{
    __path_session_delete, __path_session_get, __path_session_leave, __path_session_list,
    __path_session_password, __path_session_revoke, __path_session_tenant_list, session_delete, session_get,
    session_leave, session_list, session_password, session_revoke, session_tenant_list,
};
pub(super) use sign_in::{__path_session_create, begin, session_create};
pub(super) use switch::{__path_session_switch, session_switch};

use super::auth::{Principal, SignedIn};
use super::caller::Caller;
use super::mutation::shown;
use super::pagination::{Page, PageQuery};
use super::problem::{ApiResult, ProblemKind};
use crate::context::ApiState;
use axum::response::Response;
use catalog_schema::SessionRecord;
use jiff::Timestamp;
use serde::Serialize;
use tenancy::UserId;
use utoipa::ToSchema;
use uuid::Uuid;

/// A session, without what shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Session {
    /// Its id.
    id: Uuid,
    /// Whose it is.
    user: Uuid,
    /// Their e-mail address.
    email: String,
    /// How they proved who they are: `password`, `token` or `invite`.
    method: String,
    /// When it began.
    created_at: Timestamp,
    /// When it was used last, give or take a minute.
    last_used_at: Timestamp,
    /// When it ends at the latest.
    expires_at: Timestamp,
}

impl From<SessionRecord> for Session {
    fn from(record: SessionRecord) -> Self {
        Self {
            id: record.id.as_uuid(),
            user: record.user.as_uuid(),
            email: record.email.into(),
            method: record.method.to_string(),
            created_at: record.created_at,
            last_used_at: record.last_used_at,
            expires_at: record.expires_at,
        }
    }
}

/// How many sessions were ended.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ended {
    /// So many.
    pub(super) ended: u64,
}

impl Caller {
    /// Who has signed in. On a route for oneself that is everybody.
    pub(super) fn signed_in(&self) -> ApiResult<&SignedIn> {
        match &self.principal {
            Principal::User(signed_in) => Ok(signed_in),
            Principal::Operator | Principal::TenantKey(_) => Err(ProblemKind::Forbidden.into()),
        }
    }
}

/// A user's sessions that last, a page of them.
pub(super) async fn sessions_of(state: &ApiState, user: UserId, query: &PageQuery) -> ApiResult<Response> {
    let limit = query.limit()?;
    let sessions = state.catalog.sessions_of(user, &query.page()?).await?;
    shown(&Page::cut(sessions, limit, |session| session.id.as_uuid(), Session::from))
}
