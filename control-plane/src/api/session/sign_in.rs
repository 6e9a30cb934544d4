//! Signing in: by a password, or by an identity provider's token. An unknown address and a wrong password are one, in
//! words, work and time.

use super::super::document::Problems;
use super::super::extract::Body;
use super::super::mutation::answer;
use super::super::problem::{ApiResult, Problem, ProblemKind};
use super::super::refusal::internal;
use super::super::secret_text::{self, SecretText};
use super::super::stranger::Stranger;
use super::Session;
use super::provider::by_token;
use crate::context::ApiState;
use crate::metrics::SignInOutcome;
use crate::people::tokens;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use catalog_schema::{NewSession, SessionMethod, SessionRecord, Tx, UserLogin};
use serde::{Deserialize, Serialize};
use tenancy::{Email, Secret, SessionId, UserId};
use utoipa::ToSchema;

/// How somebody proves who they are: `email` and `password`, or `token`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct SessionCreate {
    /// The name that they sign in by.
    #[schema(example = "ann@example.com")]
    email: Option<String>,
    /// Their password.
    #[schema(schema_with = secret_text::schema)]
    password: Option<SecretText>,
    /// A token of one of the installation's issuers. Whose it is has to be on record as an identity of a user's.
    #[schema(schema_with = secret_text::schema)]
    token: Option<SecretText>,
}

/// The same, as one of the two.
enum Proof {
    Password { email: String, password: Secret },
    Token(Secret),
}

impl SessionCreate {
    fn proof(self) -> ApiResult<Proof> {
        match self {
            Self { email: Some(email), password: Some(SecretText(password)), token: None } => {
                Ok(Proof::Password { email, password })
            }
            Self { email: None, password: None, token: Some(SecretText(token)) } => Ok(Proof::Token(token)),
            Self { .. } => Err(Problem::new(ProblemKind::InvalidField)
                .detail("give \"email\" and \"password\", or \"token\"")),
        }
    }
}

/// A session with what shows it.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct SessionCreated {
    /// The session.
    session: Session,
    /// What shows it, as `Authorization: Bearer`; shown once, in this answer.
    #[schema(example = "tnu_…")]
    token: String,
}

/// Sign in.
#[utoipa::path(
    post, path = "/v1/session", tag = "session", request_body = SessionCreate,
    responses((status = 201, description = "Signed in", body = SessionCreated), Problems)
)]
pub(in super::super) async fn session_create(
    State(state): State<ApiState>,
    stranger: Stranger,
    body: Body<SessionCreate>,
) -> ApiResult<Response> {
    let proof = body.value.proof()?;
    let account = match &proof {
        Proof::Password { email, .. } => Some(email.as_str()),
        Proof::Token(_) => None,
    };
    let Some(attempt) = state.people.attempt(stranger.address, account) else {
        state.metrics.sign_in(SignInOutcome::NotLookedAt);
        return Err(ProblemKind::TooManySignIns.into());
    };
    let (checked, method) = match &proof {
        Proof::Password { email, password } => {
            (by_password(&state, email, password).await, SessionMethod::Password)
        }
        Proof::Token(token) => {
            (by_token(&state, token).await.map(|user| user.map(|user| (user, None))), SessionMethod::Token)
        }
    };
    if !matches!(checked, Ok(None)) {
        // Right, or not the client's doing.
        state.people.give_back(attempt);
    }
    let Some((user, password_hash)) = checked? else {
        state.metrics.sign_in(SignInOutcome::Refused);
        return Err(ProblemKind::SignInRefused.into());
    };
    if !state.people.arrives(user) {
        state.metrics.sign_in(SignInOutcome::NotLookedAt);
        return Err(ProblemKind::TooManySignIns.into());
    }
    let mut tx = state.catalog.begin(&stranger.turned_out_to_be(user)).await?;
    if let Some(hash) = password_hash
        && !tx.password_stands(user, &hash).await?
    {
        // Changed since it was looked at: whoever changed it has ended the sessions that there were.
        state.metrics.sign_in(SignInOutcome::Refused);
        return Err(ProblemKind::SignInRefused.into());
    }
    let (session, token) = begin(&state, &mut tx, user, method).await?;
    tx.commit().await?;
    state.metrics.sign_in(SignInOutcome::Done);
    let created = SessionCreated { session: session.into(), token: token.expose().to_owned() };
    let body = serde_json::to_value(&created).map_err(|error| internal(&error))?;
    Ok(answer(StatusCode::CREATED, &body))
}

/// Whoever has this address and password, and is let in; and the hash that the password was found to have.
async fn by_password(
    state: &ApiState,
    email: &str,
    password: &Secret,
) -> ApiResult<Option<(UserId, Option<Secret>)>> {
    let login: Option<UserLogin> = match email.parse::<Email>() {
        Ok(email) => state.catalog.user_login(&email).await?,
        Err(_) => None,
    };
    let hash = login.as_ref().and_then(|login| login.password_hash.as_ref());
    let right = state.people.passwords.check(password, hash).await?;
    Ok(login.filter(|login| right && !login.disabled).map(|login| (login.id, login.password_hash)))
}

/// Begins a session for a user who has proved who they are.
pub(in super::super) async fn begin(
    state: &ApiState,
    tx: &mut Tx,
    user: UserId,
    method: SessionMethod,
) -> ApiResult<(SessionRecord, Secret)> {
    let tokens::OpaqueToken { token, hash } = tokens::session()?;
    let lasts = state.people.config.session();
    let new = NewSession { id: SessionId::generate(), user, method, token_hash: hash, lasts };
    match tx.session_create(&new).await {
        Ok(session) => Ok((session, token)),
        // Disabled or removed since the password was checked.
        Err(catalog_schema::CatalogError::NotFound { .. }) => Err(Problem::from(ProblemKind::SignInRefused)),
        Err(error) => Err(error.into()),
    }
}
