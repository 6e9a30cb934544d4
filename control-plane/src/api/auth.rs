//! Who may speak to the API: whoever shows the operator token.

use super::problem::{Problem, ProblemKind};
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use subtle::ConstantTimeEq;
use tenancy::Secret;

/// The operator token, as the only thing that is compared: its hash.
///
/// Hashes have one length, so that the comparison takes the same time however wrong the token and
/// however long.
#[derive(Clone)]
pub(crate) struct OperatorToken(Arc<[u8; 32]>);

impl OperatorToken {
    /// Takes the token as configured.
    pub(crate) fn new(token: &Secret) -> Self {
        Self(Arc::new(Sha256::digest(token.expose().as_bytes()).into()))
    }

    fn matches(&self, shown: &str) -> bool {
        let shown: [u8; 32] = Sha256::digest(shown.as_bytes()).into();
        self.0.as_slice().ct_eq(shown.as_slice()).into()
    }
}

/// Lets a request pass that shows the token.
pub(super) async fn require_operator(
    State(token): State<OperatorToken>,
    request: Request,
    next: Next,
) -> Response {
    let shown = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer);
    if shown.is_some_and(|shown| token.matches(shown)) {
        return next.run(request).await;
    }
    let mut refusal = Problem::new(ProblemKind::Unauthorized).into_response();
    refusal.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tenantry\""));
    refusal
}

/// The scheme's case does not matter (RFC 9110 §11.1).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_matches() {
        let token = OperatorToken::new(&Secret::new("correct horse".into()));
        assert!(token.matches("correct horse"));
        for wrong in ["", "correct", "correct horse ", "Correct horse"] {
            assert!(!token.matches(wrong), "{wrong}");
        }
    }

    #[test]
    fn the_scheme_is_bearer_in_any_case() {
        assert_eq!(bearer("bearer abc"), Some("abc"));
        assert_eq!(bearer("Basic abc"), None);
        assert_eq!(bearer("abc"), None);
    }
}
