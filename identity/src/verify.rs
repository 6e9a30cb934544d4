//! Is a token what it says, and who does it let in?

use crate::claims::Claims;
use crate::error::TokenError;
use crate::keys::{self, KeySet};
use crate::shape::{self, TenantName};
use crate::token::Token;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Validation, decode};
use serde_json::Value;
use std::sync::Arc;
use tenancy::issuer::OWN_ISSUER;
use tenancy::{ClaimPath, Issuer, IssuerId, Role, SigningAlgorithm};

/// Bytes in a user's name. A subject has 255 at most (OpenID Connect Core §2); e-mail addresses are shorter.
const USER_MAX: usize = 255;

/// What a good token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Whose it is.
    pub issuer: IssuerId,
    /// Who holds it, in its issuer's words.
    pub user: Arc<str>,
    /// The tenant that it names. It names none only if its issuer may vouch for one tenant alone.
    pub tenant: Option<TenantName>,
    /// What its holder may do there.
    pub role: Role,
    /// From when on it is good for nothing, in seconds since 1970.
    pub expires_at: u64,
}

/// Checks a token against its issuer and the issuer's keys.
///
/// # Errors
/// See [`TokenError`]. [`TokenError::UnknownKey`] is worth a look for newer keys.
pub fn verify(token: &Token<'_>, issuer: &Issuer, keys: &KeySet) -> Result<Verified, TokenError> {
    let claims = good_claims(token, issuer, keys)?;
    let named = shape::read(issuer, &claims)?;
    let user = match &issuer.user_claim {
        Some(path) => claims.at(path).and_then(Value::as_str),
        None => claims.text("sub"),
    };
    Ok(Verified {
        issuer: issuer.id,
        user: user_of(user)?,
        tenant: named.tenant,
        role: named.role,
        expires_at: seconds(&claims, "exp").ok_or(TokenError::Claims)?,
    })
}

/// Checks a token for who holds it, whatever it says of tenants and roles. Its `sub`, wherever the issuer's user is
/// otherwise looked for: nothing else of a token is promised to be one person's for good (OpenID Connect Core §5.7).
///
/// # Errors
/// As [`verify`].
pub fn subject(token: &Token<'_>, issuer: &Issuer, keys: &KeySet) -> Result<Arc<str>, TokenError> {
    user_of(good_claims(token, issuer, keys)?.text("sub"))
}

/// What a token says that its issuer has signed for us and that is good now.
fn good_claims(token: &Token<'_>, issuer: &Issuer, keys: &KeySet) -> Result<Claims, TokenError> {
    if issuer.iss == OWN_ISSUER || token.issuer() != issuer.iss {
        return Err(TokenError::UnknownIssuer);
    }
    if !issuer.algorithms.contains(&token.algorithm()) {
        return Err(TokenError::Algorithm);
    }
    if !token.is_usual() {
        return Err(TokenError::Malformed);
    }
    let expected = expected(&issuer.iss, &issuer.audiences, issuer.leeway_s, token.algorithm());
    signed_claims(token, keys, &expected)
}

pub(crate) fn user_of(text: Option<&str>) -> Result<Arc<str>, TokenError> {
    let good =
        |text: &&str| !text.is_empty() && text.len() <= USER_MAX && !text.chars().any(char::is_control);
    text.filter(good).map(Arc::from).ok_or(TokenError::Claims)
}

/// What the library is to hold a token against.
pub(crate) fn expected(
    iss: &str,
    audiences: &[String],
    leeway_s: u32,
    algorithm: SigningAlgorithm,
) -> Validation {
    // Exactly the one that the token names, which the caller has found to be allowed.
    let mut validation = Validation::new(keys::algorithm(algorithm));
    validation.leeway = leeway_s.into();
    validation.validate_nbf = true;
    validation.set_issuer(&[iss]);
    validation.set_audience(audiences);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation
}

/// The claims, once somebody's signature over them was found to be the issuer's.
pub(crate) fn signed_claims(
    token: &Token<'_>,
    keys: &KeySet,
    expected: &Validation,
) -> Result<Claims, TokenError> {
    for key in keys.candidates(token.key_id(), token.algorithm())? {
        match decode::<Claims>(token.text(), key, expected) {
            Ok(decoded) => return single_issuer(decoded.claims, token),
            Err(error) => match reason(error.kind()) {
                TokenError::Signature => {}
                other => return Err(other),
            },
        }
    }
    Err(TokenError::Signature)
}

/// The library lets a list of issuers pass if ours is among them; RFC 7519 §4.1.1 knows one.
fn single_issuer(claims: Claims, token: &Token<'_>) -> Result<Claims, TokenError> {
    if claims.text("iss") == Some(token.issuer()) { Ok(claims) } else { Err(TokenError::Issuer) }
}

fn reason(error: &ErrorKind) -> TokenError {
    match error {
        ErrorKind::InvalidIssuer => TokenError::Issuer,
        ErrorKind::InvalidAudience => TokenError::Audience,
        ErrorKind::ExpiredSignature => TokenError::Expired,
        ErrorKind::ImmatureSignature => TokenError::NotYetValid,
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) | ErrorKind::InvalidSubject => {
            TokenError::Claims
        }
        ErrorKind::Json(_) | ErrorKind::Utf8(_) | ErrorKind::InvalidToken => TokenError::Malformed,
        // A key that is of no use with the algorithm has signed nothing; base64 that is none is no signature.
        _ => TokenError::Signature,
    }
}

/// A NumericDate (RFC 7519 §2), of which fractions do not count.
pub(crate) fn seconds(claims: &Claims, name: &str) -> Option<u64> {
    let value = claims.get(name)?;
    value.as_u64().or_else(|| {
        let whole = value.as_f64().filter(|seconds| seconds.is_finite() && *seconds >= 0.0)?.trunc();
        format!("{whole:.0}").parse().ok()
    })
}

/// What stands at a path, as the words that it holds: one, or a list of them.
pub(crate) fn words<'a>(claims: &'a Claims, path: &ClaimPath) -> Vec<&'a str> {
    claims.at(path).map(words_of).unwrap_or_default()
}

/// A word, or a list of words.
pub(crate) fn words_of(value: &Value) -> Vec<&str> {
    match value {
        Value::String(word) => vec![word],
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
