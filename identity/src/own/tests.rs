use super::*;
use crate::testing::{Signer, b64, now};
use serde_json::{Value, json};

fn keys(signer: &Signer) -> Vec<OwnKey> {
    let Signer::Ed25519(pair) = signer else { panic!("an Ed25519 key") };
    let public = aws_lc_rs::signature::KeyPair::public_key(pair.as_ref()).as_ref();
    let public = public.try_into().expect("32 bytes");
    vec![OwnKey { id: "k1".to_owned(), public, verifies_until: now() + 60 }]
}

fn header() -> Value {
    json!({"alg": "EdDSA", "typ": OWN_TYPE, "kid": "k1"})
}

fn claims(tenant: TenantId) -> Value {
    json!({
        "iss": OWN_ISSUER, "aud": OWN_AUDIENCE, "sub": UserId::generate(), "tenant_id": tenant, "access": "write",
        "sid": SessionId::generate(), "session_exp": now() + 3600,
        "jti": "j", "iat": now(), "exp": now() + 600,
    })
}

fn checked(signer: &Signer, header: &Value, claims: &Value) -> Result<GatewayToken, TokenError> {
    let text = signer.token(header, &claims.to_string());
    verify(&Token::parse(&text, 8192)?, &keys(signer))
}

#[test]
fn a_good_one_says_who_where_and_what() {
    let (signer, tenant) = (Signer::ed25519(), TenantId::generate());
    let claims = claims(tenant);
    let token = checked(&signer, &header(), &claims).expect("a good token");
    assert_eq!((token.tenant, token.access, &*token.id), (tenant, Access::Write, "j"));
    assert_eq!(claims["sub"], token.user.to_string());
    assert_eq!(claims["sid"], token.session.to_string());
    assert_eq!((&claims["session_exp"], &*token.key), (&json!(token.session_ends), "k1"));
}

#[test]
fn what_is_not_exactly_one_is_none() {
    let (signer, tenant) = (Signer::ed25519(), TenantId::generate());
    let with = |name: &str, value: Value| {
        let mut claims = claims(tenant);
        claims[name] = value;
        checked(&signer, &header(), &claims).expect_err("a bad token")
    };
    assert_eq!(with("aud", json!("tenantry-control-plane")), TokenError::Audience);
    assert_eq!(with("iss", json!("https://tenantry")), TokenError::Issuer);
    assert_eq!(with("exp", json!(now() - 31)), TokenError::Expired);
    assert_eq!(with("exp", json!(now() + 3600)), TokenError::Claims, "longer than they live");
    assert_eq!(with("access", json!("admin")), TokenError::Role);
    assert_eq!(with("tenant_id", json!("acme")), TokenError::Tenant);
    for missing in ["sub", "tenant_id", "access", "sid", "session_exp", "jti", "iat"] {
        assert_eq!(with(missing, Value::Null), TokenError::Claims, "{missing}");
    }
    let mut plain = header();
    plain["typ"] = json!("JWT");
    assert_eq!(checked(&signer, &plain, &claims(tenant)), Err(TokenError::Malformed));
    let other =
        checked(&Signer::ed25519(), &json!({"alg": "EdDSA", "typ": OWN_TYPE, "kid": "k2"}), &claims(tenant));
    assert_eq!(other, Err(TokenError::UnknownKey));
}

#[test]
fn nobody_elses_signature_is_taken_for_the_control_planes() {
    let (signer, tenant) = (Signer::ed25519(), TenantId::generate());
    let text = Signer::ed25519().token(&header(), &claims(tenant).to_string());
    let token = Token::parse(&text, 8192).expect("a token");
    assert!(is_own(&token));
    assert_eq!(verify(&token, &keys(&signer)), Err(TokenError::Signature));
    let unsigned = format!("{}.{}.", b64(header().to_string()), b64(claims(tenant).to_string()));
    let token = Token::parse(&unsigned, 8192).expect("a token's form");
    assert_eq!(verify(&token, &keys(&signer)), Err(TokenError::Signature));
}
