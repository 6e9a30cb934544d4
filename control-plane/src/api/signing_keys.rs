//! The keys that sign gateway tokens: their public halves, and their change before its time.

use super::caller::{Caller, ChangeHeaders};
use super::document::Problems;
use super::extract::Body;
use super::mutation::{Begun, Mutation, shown};
use super::pagination::Page;
use super::problem::{ApiResult, Problem};
use super::refusal::internal;
use crate::context::ApiState;
use crate::reconcile::signing_keys::{self, NoSigningKey};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use catalog_schema::SigningKeyRecord;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// The public half of a key that signs gateway tokens.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SigningKey {
    /// Its id, the tokens' `kid`.
    id: Uuid,
    /// The Ed25519 public key, as the `x` of a JSON Web Key (RFC 8037).
    public_key: String,
    /// From when on it signs.
    signs_from: Timestamp,
    /// Until when it signs.
    signs_until: Timestamp,
    /// Until when what it signed is believed.
    verifies_until: Timestamp,
}

impl From<SigningKeyRecord> for SigningKey {
    fn from(record: SigningKeyRecord) -> Self {
        Self {
            id: record.id.as_uuid(),
            public_key: URL_SAFE_NO_PAD.encode(record.public_key),
            signs_from: record.signs_from,
            signs_until: record.signs_until,
            verifies_until: record.verifies_until,
        }
    }
}

/// How keys are to change.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SigningKeyRotate {
    /// Whether nothing is believed any more that was signed so far: all gateway tokens are refused within a second. For
    /// a key that somebody may have got hold of.
    #[serde(default)]
    compromised: bool,
}

/// List the keys whose signatures gateways believe, or will.
#[utoipa::path(
    get, path = "/v1/signing-keys", tag = "signing-keys",
    responses((status = 200, description = "Keys, in the order in which they sign", body = Page<SigningKey>), Problems)
)]
pub(super) async fn signing_key_list(State(state): State<ApiState>) -> ApiResult<Response> {
    let keys = state.catalog.signing_keys().await?;
    shown(&Page::whole(keys.into_iter().map(SigningKey::from).collect()))
}

/// Have a new key sign, before the next one would come by itself.
#[utoipa::path(
    post, path = "/v1/signing-keys/rotate", tag = "signing-keys", request_body = SigningKeyRotate,
    params(ChangeHeaders),
    responses((status = 201, description = "The new key", body = SigningKey), Problems)
)]
pub(super) async fn signing_key_rotate(
    State(state): State<ApiState>,
    caller: Caller,
    body: Body<SigningKeyRotate>,
) -> ApiResult<Response> {
    let mut change = match Mutation::begin(&state, &caller, &body.bytes).await? {
        Begun::Fresh(change) => change,
        Begun::Replay(answer) => return Ok(answer),
    };
    let made = if body.value.compromised {
        signing_keys::replace(&mut change.tx).await
    } else {
        signing_keys::rotate(&mut change.tx).await
    };
    let made = made.map_err(|error| match error {
        NoSigningKey::Catalog(error) => Problem::from(error),
        NoSigningKey::Signing(error) => internal(&error),
    })?;
    change.finish(StatusCode::CREATED, &SigningKey::from(made)).await
}
