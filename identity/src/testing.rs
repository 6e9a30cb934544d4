//! Keys and tokens for tests, made by hand: the library would refuse to make the bad ones.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};
use tenancy::{ClaimShape, Issuer, IssuerId, Role, SigningAlgorithm, TenantForm, TenantId};

pub(crate) const ISS: &str = "https://id.example.com/";
pub(crate) const AUDIENCE: &str = "https://db.example.com";

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// A private key, and how it signs.
pub(crate) enum Signer {
    Rsa(Box<RsaKeyPair>),
    P256(Box<EcdsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

impl Signer {
    pub(crate) fn rsa() -> Self {
        Self::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).expect("randomness")))
    }

    pub(crate) fn p256() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("randomness");
        Self::P256(Box::new(pair))
    }

    pub(crate) fn ed25519() -> Self {
        Self::Ed25519(Box::new(Ed25519KeyPair::generate().expect("randomness")))
    }

    /// The public half as a JWK.
    pub(crate) fn jwk(&self, id: &str) -> Value {
        match self {
            Self::Rsa(pair) => {
                let public = pair.public_key();
                let (n, e) = (public.modulus().big_endian_without_leading_zero(), public.exponent());
                let e = e.big_endian_without_leading_zero();
                json!({"kty": "RSA", "kid": id, "use": "sig", "alg": "RS256", "n": b64(n), "e": b64(e)})
            }
            Self::P256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "kid": id, "x": b64(x), "y": b64(y)})
            }
            Self::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "alg": "EdDSA", "x": b64(pair.public_key())})
            }
        }
    }

    /// Signs as the header's `alg` says.
    pub(crate) fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let encoding: &dyn aws_lc_rs::signature::RsaEncoding = match algorithm {
                    "PS256" => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                pair.sign(encoding, &random, message, &mut signature).expect("a signature");
                signature
            }
            Self::P256(pair) => pair.sign(&random, message).expect("a signature").as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A token with this header and these claims, whatever they are.
    pub(crate) fn token(&self, header: &Value, claims: &str) -> String {
        let message = format!("{}.{}", b64(header.to_string()), b64(claims));
        let algorithm = header["alg"].as_str().unwrap_or_default();
        format!("{message}.{}", b64(self.sign(algorithm, message.as_bytes())))
    }
}

/// An installation's issuer.
pub(crate) fn issuer(shape: ClaimShape, tenant_form: TenantForm) -> Issuer {
    Issuer {
        id: IssuerId::generate(),
        tenant: None,
        iss: ISS.to_owned(),
        audiences: vec![AUDIENCE.to_owned()],
        algorithms: SigningAlgorithm::USUAL.to_vec(),
        jwks_url: "https://id.example.com/jwks".to_owned(),
        jwks_ca: None,
        leeway_s: 30,
        shape,
        tenant_claim: None,
        role_claim: None,
        user_claim: None,
        tenant_form,
        roles: BTreeMap::new(),
        default_role: None,
        version: 1,
    }
}

/// Good claims of the shape `tenant`.
pub(crate) fn claims(tenant: TenantId) -> Value {
    json!({
        "iss": ISS, "aud": AUDIENCE, "sub": "user-1", "exp": now() + 300, "iat": now(),
        "tenant_id": tenant, "role": Role::Member,
    })
}
