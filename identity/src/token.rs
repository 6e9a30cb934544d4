//! A token as it came: what may be read of it before anything of it is believed.

use crate::error::TokenError;
use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::{Header, decode_header};
use serde::Deserialize;
use tenancy::SigningAlgorithm;

/// Characters in a key's id.
const KEY_ID_MAX: usize = 256;

/// What a token may say that it is: access and identity tokens (RFC 9068 §2.1, RFC 7519 §5.1). Others that an
/// issuer signs, such as those that tell of a logout, are no way in.
const TYPES: [&str; 4] = ["jwt", "application/jwt", "at+jwt", "application/at+jwt"];

/// A token of bounded size whose header asks for nothing that we do not do.
#[derive(Clone)]
pub struct Token<'a> {
    text: &'a str,
    algorithm: SigningAlgorithm,
    key_id: Option<String>,
    issuer: String,
    kind: Option<String>,
}

/// Who a token says it is from, to look its keys up.
#[derive(Deserialize)]
struct Origin {
    iss: String,
}

impl<'a> Token<'a> {
    /// Reads the outside of a token.
    ///
    /// # Errors
    /// It is too long, is none, or asks for something that is not done.
    pub fn parse(text: &'a str, bytes_max: usize) -> Result<Self, TokenError> {
        if text.len() > bytes_max {
            return Err(TokenError::TooLarge);
        }
        let header = decode_header(text).map_err(|_| TokenError::Malformed)?;
        let algorithm = algorithm_of(&header)?;
        // RFC 7515 §4.1.11: what is critical has to be understood, and nothing is. Neither are encryption and
        // compression.
        if header.crit.is_some() || header.enc.is_some() || header.zip.is_some() || header.cty.is_some() {
            return Err(TokenError::Malformed);
        }
        let key_id = header.kid.filter(|id| !id.is_empty());
        if key_id.as_ref().is_some_and(|id| id.len() > KEY_ID_MAX) {
            return Err(TokenError::Malformed);
        }
        let Origin { iss } = insecure_decode_claims(text).map_err(|_| TokenError::Malformed)?;
        Ok(Self { text, algorithm, key_id, issuer: iss, kind: header.typ })
    }

    /// Does this text have a token's form, whatever is in it? An API key or a password does not.
    #[must_use]
    pub fn looks_like_one(text: &str) -> bool {
        text.starts_with("eyJ") && text.bytes().filter(|byte| *byte == b'.').count() == 2
    }

    /// Who it says it is from.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The key that it says it is signed with.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// How it says it is signed.
    #[must_use]
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// Is it of a kind that lets somebody in?
    pub(crate) fn is_usual(&self) -> bool {
        let kind = self.kind.as_deref();
        kind.is_none_or(|kind| TYPES.iter().any(|known| known.eq_ignore_ascii_case(kind)))
    }

    pub(crate) fn is_of(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }

    pub(crate) fn text(&self) -> &'a str {
        self.text
    }
}

/// Without what it says: a token opens something.
impl std::fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token([redacted])")
    }
}

fn algorithm_of(header: &Header) -> Result<SigningAlgorithm, TokenError> {
    use jsonwebtoken::Algorithm;
    Ok(match header.alg {
        Algorithm::RS256 => SigningAlgorithm::Rs256,
        Algorithm::RS384 => SigningAlgorithm::Rs384,
        Algorithm::RS512 => SigningAlgorithm::Rs512,
        Algorithm::PS256 => SigningAlgorithm::Ps256,
        Algorithm::PS384 => SigningAlgorithm::Ps384,
        Algorithm::PS512 => SigningAlgorithm::Ps512,
        Algorithm::ES256 => SigningAlgorithm::Es256,
        Algorithm::ES384 => SigningAlgorithm::Es384,
        Algorithm::EdDSA => SigningAlgorithm::EdDsa,
        // HS256 and its like; the enumeration may grow.
        _ => return Err(TokenError::Algorithm),
    })
}
