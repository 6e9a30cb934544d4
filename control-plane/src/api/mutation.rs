//! Changes that may be asked for twice and are made once.
//!
//! A change, its audit rows, its operation and the answer under its idempotency key are one transaction: a
//! request that is cut off has done all of it or nothing. Answers can hold secrets that are shown once, so they
//! are kept sealed under the master key, for a day; a repeated request gets the same answer, secrets
//! included, because a client that lost the first one would otherwise have to start over. Only successes
//! are kept: a refused request may be sent again, under the same key, once its cause is mended.

use super::caller::Caller;
use super::preconditions::etag;
use super::problem::{ApiResult, Problem, ProblemKind};
use super::refusal::internal;
use super::standing;
use crate::context::ApiState;
use axum::http::header::{CONTENT_TYPE, ETAG, LOCATION};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use catalog_schema::{CatalogError, Idempotency, MasterKey, StoredResponse, Tx};
use serde::Serialize;
use serde_json::Value;
use tenancy::TenantId;

/// Tells that nothing was done this time.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// An open change.
pub(super) struct Mutation {
    pub(super) tx: Tx,
    key: Option<String>,
}

/// What became of the attempt to open one.
pub(super) enum Begun {
    /// Go on.
    Fresh(Box<Mutation>),
    /// It was made before: this was the answer.
    Replay(Response),
}

impl Mutation {
    /// Opens a change on behalf of `caller`. `body` is the request's, as it came.
    pub(super) async fn begin(state: &ApiState, caller: &Caller, body: &[u8]) -> ApiResult<Begun> {
        Self::begin_in(state, caller, body, None).await
    }

    /// Opens a change that is about `tenant` where the route does not say so: it is locked before the people are who are
    /// changed, as everywhere. Only for a tenant that the caller has to do with.
    pub(super) async fn begin_in(
        state: &ApiState,
        caller: &Caller,
        body: &[u8],
        tenant: Option<TenantId>,
    ) -> ApiResult<Begun> {
        let mut tx = open(state, caller, tenant).await?;
        let Some(key) = caller.idempotency_key.clone() else {
            return Ok(Begun::Fresh(Box::new(Self { tx, key: None })));
        };
        match tx.idempotency_begin(&key, &fingerprint(state.catalog.key(), caller, body)).await {
            Ok(Idempotency::Fresh) => Ok(Begun::Fresh(Box::new(Self { tx, key: Some(key) }))),
            Ok(Idempotency::Replay(stored)) => Ok(Begun::Replay(replay(&stored)?)),
            Ok(Idempotency::OtherRequest) => Err(ProblemKind::IdempotencyKeyReused.into()),
            Err(CatalogError::Busy) => Err(ProblemKind::IdempotencyKeyInFlight.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// The answer to a request that was made before, if it was. Nothing stays open: for handlers that do something
    /// slow before their change, and need not do it again.
    pub(super) async fn answered(
        state: &ApiState,
        caller: &Caller,
        body: &[u8],
    ) -> ApiResult<Option<Response>> {
        if caller.idempotency_key.is_none() {
            return Ok(None);
        }
        match Self::begin(state, caller, body).await? {
            Begun::Fresh(change) => change.abandon().await.map(|()| None),
            Begun::Replay(answer) => Ok(Some(answer)),
        }
    }

    /// Opens a change that will not be made: everything is checked by the catalog itself, and then rolled back.
    pub(super) async fn rehearse(state: &ApiState, caller: &Caller) -> ApiResult<Self> {
        Ok(Self { tx: open(state, caller, None).await?, key: None })
    }

    /// Ends a rehearsal.
    pub(super) async fn abandon(self) -> ApiResult<()> {
        Ok(self.tx.rollback().await?)
    }

    /// Makes the change, and remembers the answer under its key.
    pub(super) async fn finish(
        mut self,
        status: StatusCode,
        body: &(impl Serialize + Sync),
    ) -> ApiResult<Response> {
        let body = serde_json::to_value(body).map_err(|error| internal(&error))?;
        if let Some(key) = &self.key {
            let stored = StoredResponse::new(status.as_u16(), body.to_string());
            self.tx.idempotency_finish(key, &stored).await?;
        }
        self.tx.commit().await?;
        Ok(answer(status, &body))
    }
}

/// A transaction of somebody who may still do what they were let in for.
async fn open(state: &ApiState, caller: &Caller, tenant: Option<TenantId>) -> ApiResult<Tx> {
    let mut tx = state.catalog.begin(&caller.context).await?;
    if let Some(tenant) = tenant {
        tx.lock_tenant(tenant).await?;
    }
    standing::check(caller, &mut tx).await?;
    Ok(tx)
}

/// An answer in JSON, with the headers that follow from it: so a replay has the same ones.
pub(super) fn answer(status: StatusCode, body: &Value) -> Response {
    let mut response = (status, body.to_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if status == StatusCode::ACCEPTED
        && let Some(id) = body.pointer("/operation/id").and_then(Value::as_str)
        && let Ok(location) = HeaderValue::from_str(&format!("/v1/operations/{id}"))
    {
        headers.insert(LOCATION, location);
    }
    let version = body.pointer("/tenant/version").or_else(|| body.get("version"));
    if let Some(version) = version.and_then(Value::as_i64) {
        headers.insert(ETAG, etag(version));
    }
    response
}

/// An answer to a question.
pub(super) fn shown(body: &impl Serialize) -> ApiResult<Response> {
    let body = serde_json::to_value(body).map_err(|error| internal(&error))?;
    Ok(answer(StatusCode::OK, &body))
}

fn replay(stored: &StoredResponse) -> ApiResult<Response> {
    let status = StatusCode::from_u16(stored.status).map_err(|error| internal(&error))?;
    let body: Value =
        serde_json::from_str(stored.body.expose()).map_err(|_| Problem::new(ProblemKind::Internal))?;
    let mut response = answer(status, &body);
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

/// Two requests are the same if all of this is. Under the master key, because bodies can hold passwords.
fn fingerprint(key: &MasterKey, caller: &Caller, body: &[u8]) -> [u8; 32] {
    let mut message = [caller.method.as_str().as_bytes(), caller.target.as_bytes(), body].join(&0);
    // Keys are told apart by who uses them. An actor is a name for people, this is what no two principals share.
    message.extend_from_slice(&caller.principal.identity());
    key.fingerprint("idempotent request", &message)
}
