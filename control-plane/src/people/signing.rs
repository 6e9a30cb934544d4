//! Gateway tokens, and the keys that sign them: JSON Web Tokens (RFC 7519) signed with Ed25519 (RFC 8037).

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use catalog_schema::SigningKey;
use identity::own::{OWN_AUDIENCE, OWN_TYPE};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use tenancy::issuer::OWN_ISSUER;
use tenancy::{Access, Secret, SessionId, TenantId, UserId};
use uuid::Uuid;
use zeroize::Zeroizing;

/// A key could not be made, or a token not signed. Says nothing of either.
#[derive(Debug, thiserror::Error)]
#[error("the signing key is of no use")]
pub(crate) struct SigningError;

/// What a gateway token says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement {
    /// The token's own id, by which it is known in the log.
    pub(crate) id: Uuid,
    pub(crate) user: UserId,
    pub(crate) tenant: TenantId,
    pub(crate) access: Access,
    pub(crate) session: SessionId,
    pub(crate) session_ends: Timestamp,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// A statement as the token has it: claims of RFC 7519 §4.1, `sid` as OpenID Connect has it, and that session's end.
#[derive(Serialize)]
struct Claims {
    iss: &'static str,
    aud: &'static str,
    sub: UserId,
    tenant_id: TenantId,
    access: Access,
    sid: SessionId,
    session_exp: i64,
    jti: Uuid,
    iat: i64,
    exp: i64,
}

/// Signs a statement.
pub(crate) fn sign(key: &SigningKey, statement: &Statement) -> Result<Secret, SigningError> {
    let claims = Claims {
        iss: OWN_ISSUER,
        aud: OWN_AUDIENCE,
        sub: statement.user,
        tenant_id: statement.tenant,
        access: statement.access,
        sid: statement.session,
        session_exp: statement.session_ends.as_second(),
        jti: statement.id,
        iat: statement.issued_at.as_second(),
        exp: statement.expires_at.as_second(),
    };
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some(OWN_TYPE.to_owned());
    header.kid = Some(key.id.to_string());
    let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ed_der(&key.pkcs8));
    token.map(Secret::new).map_err(|_| SigningError)
}

/// A new key pair: as PKCS #8, and its public half.
pub(crate) fn new_pair() -> Result<(Zeroizing<Vec<u8>>, [u8; 32]), SigningError> {
    let pair = Ed25519KeyPair::generate().map_err(|_| SigningError)?;
    let pkcs8 = pair.to_pkcs8().map_err(|_| SigningError)?;
    let public = pair.public_key().as_ref().try_into().map_err(|_| SigningError)?;
    Ok((Zeroizing::new(pkcs8.as_ref().to_vec()), public))
}

#[cfg(test)]
mod tests {
    use super::*;
    use identity::own::{OwnKey, verify};
    use identity::{Token, TokenError};
    use std::time::Duration;
    use tenancy::SigningKeyId;

    fn statement(issued_at: Timestamp) -> Statement {
        Statement {
            id: Uuid::now_v7(),
            user: UserId::generate(),
            tenant: TenantId::generate(),
            access: Access::Write,
            session: SessionId::generate(),
            session_ends: issued_at + Duration::from_secs(3600),
            issued_at,
            expires_at: issued_at + Duration::from_secs(300),
        }
    }

    fn key() -> (SigningKey, OwnKey) {
        let (pkcs8, public) = new_pair().unwrap();
        let id = SigningKeyId::generate();
        (SigningKey { id, pkcs8 }, OwnKey { id: id.to_string(), public, verifies_until: u64::MAX })
    }

    #[test]
    fn what_is_signed_is_what_a_gateway_reads() {
        let (key, public) = key();
        let said = statement(Timestamp::now());
        let token = sign(&key, &said).unwrap();
        let read = verify(&Token::parse(token.expose(), 8_192).unwrap(), &[public]).unwrap();
        assert_eq!(read.user, said.user);
        assert_eq!((read.tenant, read.access), (said.tenant, said.access));
        assert_eq!(read.session, said.session);
        assert_eq!(*read.key, *key.id.to_string());
        assert_eq!(i64::try_from(read.session_ends).unwrap(), said.session_ends.as_second());
        assert_eq!(i64::try_from(read.issued_at).unwrap(), said.issued_at.as_second());
    }

    #[test]
    fn another_key_of_the_same_name_does_not_do() {
        let ((key, _), (_, other)) = (key(), self::key());
        let token = sign(&key, &statement(Timestamp::now())).unwrap();
        let impostor = OwnKey { id: key.id.to_string(), ..other };
        let refused = verify(&Token::parse(token.expose(), 8_192).unwrap(), &[impostor]).unwrap_err();
        assert_eq!(refused, TokenError::Signature);
    }
}
