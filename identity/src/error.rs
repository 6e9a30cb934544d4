//! Why a token opens nothing.

/// Why a token opens nothing. The words are for logs and metrics; which of them its holder may read, says
/// [`TokenError::is_for_its_holder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenError {
    /// It is longer than tokens may be.
    #[error("the token is too long")]
    TooLarge,
    /// It is no token, or says something twice, or asks for what we do not do (`crit`), or is for another purpose (`typ`).
    #[error("the token is malformed")]
    Malformed,
    /// Nobody who may vouch for the tenant goes by the name that it gives.
    #[error("the token's issuer is not known")]
    UnknownIssuer,
    /// It is signed in a way that its issuer's are not, or not at all.
    #[error("the token's algorithm is not allowed")]
    Algorithm,
    /// Its issuer has no such key.
    #[error("the token's key is not known")]
    UnknownKey,
    /// Nobody but an impostor signed it.
    #[error("the token's signature is wrong")]
    Signature,
    /// Its issuer's keys cannot be had at the moment.
    #[error("the token's issuer cannot be reached")]
    KeysUnavailable,
    /// `iss` is not the issuer's.
    #[error("the token is from another issuer")]
    Issuer,
    /// It is meant for somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// A claim that it needs is missing, or is of the wrong kind.
    #[error("the token lacks a claim, or has one of the wrong kind")]
    Claims,
    /// It names no tenant, or several, or one that cannot be.
    #[error("the token names no tenant")]
    Tenant,
    /// It gives its holder no role that is known.
    #[error("the token gives no role")]
    Role,
    /// It, or the session that it is from, was revoked.
    #[error("the token was revoked")]
    Revoked,
}

impl TokenError {
    /// Every reason.
    pub const ALL: [Self; 15] = [
        Self::TooLarge,
        Self::Malformed,
        Self::UnknownIssuer,
        Self::Algorithm,
        Self::UnknownKey,
        Self::Signature,
        Self::KeysUnavailable,
        Self::Issuer,
        Self::Audience,
        Self::Expired,
        Self::NotYetValid,
        Self::Claims,
        Self::Tenant,
        Self::Role,
        Self::Revoked,
    ];

    /// The word in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            Self::Malformed => "malformed",
            Self::UnknownIssuer => "unknown-issuer",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown-key",
            Self::Signature => "signature",
            Self::KeysUnavailable => "keys-unavailable",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::Claims => "claims",
            Self::Tenant => "tenant",
            Self::Role => "role",
            Self::Revoked => "revoked",
        }
    }

    /// May the token's holder be told? Only what is found once its signature has been checked: before that an
    /// answer would tell strangers which issuers a tenant has, and so which tenants there are.
    #[must_use]
    pub const fn is_for_its_holder(self) -> bool {
        match self {
            Self::Issuer
            | Self::Audience
            | Self::Expired
            | Self::NotYetValid
            | Self::Claims
            | Self::Tenant
            | Self::Role
            | Self::Revoked => true,
            Self::TooLarge
            | Self::Malformed
            | Self::UnknownIssuer
            | Self::Algorithm
            | Self::UnknownKey
            | Self::Signature
            | Self::KeysUnavailable => false,
        }
    }
}
