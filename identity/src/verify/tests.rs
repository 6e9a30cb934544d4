//! A good token, and every way that we know to pass for one.

use super::*;
use crate::testing::{AUDIENCE, ISS, Signer, b64, claims, issuer, now};
use serde_json::json;
use tenancy::{ClaimShape, TenantForm, TenantId};

const BYTES_MAX: usize = 8192;

/// An issuer with one key of each kind.
struct World {
    issuer: Issuer,
    keys: KeySet,
    rsa: Signer,
    p256: Signer,
    ed25519: Signer,
    tenant: TenantId,
}

impl World {
    fn new() -> Self {
        let (rsa, p256, ed25519) = (Signer::rsa(), Signer::p256(), Signer::ed25519());
        let jwks = json!({"keys": [rsa.jwk("rsa"), p256.jwk("p256"), ed25519.jwk("ed")]});
        let keys = KeySet::parse(jwks.to_string().as_bytes(), 8).expect("a key set");
        let issuer = issuer(ClaimShape::Tenant, TenantForm::Id);
        Self { issuer, keys, rsa, p256, ed25519, tenant: TenantId::generate() }
    }

    fn check(&self, text: &str) -> Result<Verified, TokenError> {
        verify(&Token::parse(text, BYTES_MAX)?, &self.issuer, &self.keys)
    }

    fn signed(&self, claims: &str) -> Result<Verified, TokenError> {
        self.check(&self.p256.token(&json!({"alg": "ES256", "kid": "p256"}), claims))
    }

    fn with(&self, name: &str, value: Value) -> Result<Verified, TokenError> {
        let mut claims = claims(self.tenant);
        claims[name] = value;
        self.signed(&claims.to_string())
    }

    fn headed(&self, header: &Value) -> Result<Verified, TokenError> {
        let signer = if header["alg"] == "ES256" { &self.p256 } else { &self.rsa };
        self.check(&signer.token(header, &claims(self.tenant).to_string()))
    }
}

#[test]
fn a_good_token_of_each_algorithm_says_who_where_and_what() {
    let world = World::new();
    let all = [(&world.rsa, "RS256", "rsa"), (&world.p256, "ES256", "p256"), (&world.ed25519, "EdDSA", "ed")];
    for (signer, algorithm, key) in all {
        let claims = claims(world.tenant);
        let text = signer.token(&json!({"alg": algorithm, "kid": key, "typ": "JWT"}), &claims.to_string());
        let verified = world.check(&text).expect("a good token");
        assert_eq!(verified.tenant, Some(TenantName::Id(world.tenant)), "{algorithm}");
        assert_eq!((&*verified.user, verified.role), ("user-1", Role::Member));
        assert_eq!(verified.expires_at, claims["exp"]);
        let unnamed = signer.token(&json!({"alg": algorithm}), &claims.to_string());
        assert!(world.check(&unnamed).is_ok(), "{algorithm} without a key's id");
    }
}

#[test]
fn no_signature_and_no_algorithm_are_none() {
    let world = World::new();
    let body = b64(claims(world.tenant).to_string());
    for algorithm in ["none", "None", "NONE", "nOnE", ""] {
        let header = b64(json!({"alg": algorithm}).to_string());
        for signature in ["", "AA"] {
            let result = world.check(&format!("{header}.{body}.{signature}"));
            assert_eq!(result, Err(TokenError::Malformed), "{algorithm:?} {signature:?}");
        }
    }
    let header = b64(json!({"alg": "ES256", "kid": "p256"}).to_string());
    assert_eq!(world.check(&format!("{header}.{body}.")), Err(TokenError::Signature));
    // What is all zero passes where r and s are not looked at (CVE-2022-21449).
    let zeros = b64([0; 64]);
    assert_eq!(world.check(&format!("{header}.{body}.{zeros}")), Err(TokenError::Signature));
    assert_eq!(world.check(&format!("{header}.{body}")), Err(TokenError::Malformed));
}

#[test]
fn a_public_key_is_no_shared_secret() {
    let world = World::new();
    let modulus = world.rsa.jwk("rsa")["n"].as_str().expect("text").to_owned();
    for (algorithm, hash) in
        [("HS256", aws_lc_rs::hmac::HMAC_SHA256), ("HS512", aws_lc_rs::hmac::HMAC_SHA512)]
    {
        let message = format!(
            "{}.{}",
            b64(json!({"alg": algorithm, "kid": "rsa"}).to_string()),
            b64(claims(world.tenant).to_string())
        );
        let key = aws_lc_rs::hmac::Key::new(hash, modulus.as_bytes());
        let signature = b64(aws_lc_rs::hmac::sign(&key, message.as_bytes()));
        assert_eq!(world.check(&format!("{message}.{signature}")), Err(TokenError::Algorithm));
    }
    // Nor is a shared secret in the key set a key.
    let secret = json!({"keys": [{"kty": "oct", "kid": "s", "k": b64("secret"), "alg": "HS256"}]});
    assert!(KeySet::parse(secret.to_string().as_bytes(), 8).is_err());
}

#[test]
fn only_the_issuers_algorithms_and_each_keys_own_count() {
    let mut world = World::new();
    let token = |world: &World, algorithm: &str, key: &str| {
        world.headed(&json!({"alg": algorithm, "kid": key})).map(|_| ())
    };
    assert_eq!(token(&world, "PS256", "rsa"), Err(TokenError::Algorithm));
    world.issuer.algorithms.push(SigningAlgorithm::Ps256);
    assert_eq!(
        token(&world, "PS256", "rsa"),
        Err(TokenError::Signature),
        "the key says that it is for RS256"
    );
    assert_eq!(token(&world, "RS256", "p256"), Err(TokenError::Signature));
    assert_eq!(token(&world, "ES256", "rsa"), Err(TokenError::Signature));
    world.issuer.algorithms = vec![SigningAlgorithm::EdDsa];
    assert_eq!(token(&world, "RS256", "rsa"), Err(TokenError::Algorithm));
}

#[test]
fn a_header_leads_nowhere() {
    let world = World::new();
    let attacker = Signer::p256();
    let body = claims(world.tenant).to_string();
    for (name, value) in [
        ("jwk", attacker.jwk("p256")),
        ("jku", json!("https://attacker.example/jwks")),
        ("x5u", json!("https://attacker.example/chain.pem")),
        ("x5c", json!([b64("certificate")])),
    ] {
        let mut header = json!({"alg": "ES256", "kid": "p256"});
        header[name] = value;
        assert_eq!(world.check(&attacker.token(&header, &body)), Err(TokenError::Signature), "{name}");
        assert!(world.headed(&header).is_ok(), "{name} is not looked at");
    }
    for id in ["../../../dev/null", "' or 1=1 --", "p256\0", "p256/../rsa", "http://attacker.example/"] {
        assert_eq!(world.headed(&json!({"alg": "ES256", "kid": id})), Err(TokenError::UnknownKey), "{id}");
    }
    assert_eq!(world.headed(&json!({"alg": "ES256", "kid": "x".repeat(300)})), Err(TokenError::Malformed));
    assert_eq!(world.headed(&json!({"alg": "ES256", "kid": 1})), Err(TokenError::Malformed));
    for critical in
        [json!({"crit": ["exp"]}), json!({"zip": "DEF"}), json!({"enc": "A128GCM"}), json!({"cty": "JWT"})]
    {
        let mut header = json!({"alg": "ES256", "kid": "p256"});
        header.as_object_mut().expect("an object").extend(critical.as_object().expect("an object").clone());
        assert_eq!(world.headed(&header), Err(TokenError::Malformed), "{header}");
    }
    for kind in ["logout+jwt", "dpop+jwt", "tenantry+jwt"] {
        assert_eq!(
            world.headed(&json!({"alg": "ES256", "kid": "p256", "typ": kind})),
            Err(TokenError::Malformed)
        );
    }
    assert!(world.headed(&json!({"alg": "ES256", "kid": "p256", "typ": "at+JWT"})).is_ok());
}

#[test]
fn issuer_and_audience_are_pinned() {
    let world = World::new();
    for iss in [json!("https://id.example.com"), json!("https://attacker.example/"), json!("tenantry")] {
        assert_eq!(world.with("iss", iss), Err(TokenError::UnknownIssuer));
    }
    for iss in [Value::Null, json!([ISS, "https://attacker.example/"]), json!(1)] {
        assert_eq!(world.with("iss", iss), Err(TokenError::Malformed));
    }
    assert_eq!(world.with("aud", json!("https://other.example.com")), Err(TokenError::Audience));
    assert_eq!(world.with("aud", json!([])), Err(TokenError::Audience));
    for aud in [Value::Null, json!(1)] {
        assert_eq!(world.with("aud", aud), Err(TokenError::Claims));
    }
    assert!(world.with("aud", json!(["https://other.example.com", AUDIENCE])).is_ok());
    let mut other = World::new();
    other.issuer.iss = "https://other.example.com/".to_owned();
    assert_eq!(other.with("sub", json!("x")), Err(TokenError::UnknownIssuer));
}

#[test]
fn time_counts_within_the_clocks_difference() {
    let world = World::new();
    let leeway = u64::from(world.issuer.leeway_s);
    assert_eq!(world.with("exp", json!(now() - leeway - 5)), Err(TokenError::Expired));
    assert!(world.with("exp", json!(now() - leeway + 10)).is_ok());
    assert_eq!(world.with("nbf", json!(now() + leeway + 10)), Err(TokenError::NotYetValid));
    assert!(world.with("nbf", json!(now() + leeway - 10)).is_ok());
    for bad in [Value::Null, json!("tomorrow"), json!(-1), json!(1e300)] {
        assert_eq!(world.with("exp", bad.clone()), Err(TokenError::Claims), "{bad}");
    }
    assert_eq!(world.with("exp", json!([now() + 300])), Err(TokenError::Malformed));
    assert_eq!(world.with("nbf", json!("yesterday")), Err(TokenError::Claims));
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are small")]
    let fraction = now() as f64 + 300.5;
    assert!(world.with("exp", json!(fraction)).is_ok());
}

#[test]
fn a_claim_is_said_once() {
    let world = World::new();
    let good = claims(world.tenant).to_string();
    for extra in [
        r#""sub":"other","#.to_owned(),
        format!(r#""exp":{},"#, now() + 9999),
        format!(r#""tenant_id":"{}","#, TenantId::generate()),
        r#""x":{"a":1,"a":2},"#.to_owned(),
    ] {
        let doubled = format!("{{{extra}{}", &good[1..]);
        assert_eq!(world.signed(&doubled), Err(TokenError::Malformed), "{extra}");
    }
    let header = r#"{"alg":"ES256","alg":"ES256","kid":"p256"}"#;
    let message = format!("{}.{}", b64(header), b64(&good));
    let signature = b64(world.p256.sign("ES256", message.as_bytes()));
    assert_eq!(world.check(&format!("{message}.{signature}")), Err(TokenError::Malformed));
}

#[test]
fn what_is_too_long_or_no_token_is_not_looked_into() {
    let world = World::new();
    assert_eq!(world.check(&"e".repeat(BYTES_MAX + 1)), Err(TokenError::TooLarge));
    assert_eq!(world.with("x", json!("y".repeat(BYTES_MAX))), Err(TokenError::TooLarge));
    for bad in ["", "a", "..", "a.b.c", "a.b.c.d", "eyJ", "\u{1f600}.\u{1f600}.\u{1f600}"] {
        assert_eq!(world.check(bad), Err(TokenError::Malformed), "{bad}");
    }
    let deep = format!("{}{}", "[".repeat(3000), "]".repeat(3000));
    assert_eq!(world.signed(&format!(r#"{{"iss":"{ISS}","x":{deep}}}"#)), Err(TokenError::Malformed));
    assert_eq!(world.with("sub", json!("x".repeat(256))), Err(TokenError::Claims));
    assert_eq!(world.with("sub", json!("a\nb")), Err(TokenError::Claims));
    assert_eq!(world.with("sub", Value::Null), Err(TokenError::Claims));
}

#[test]
fn changed_claims_and_other_keys_are_noticed() {
    let world = World::new();
    let text = world.p256.token(&json!({"alg": "ES256", "kid": "p256"}), &claims(world.tenant).to_string());
    let [header, _, signature] = text.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let mine = b64(claims(TenantId::generate()).to_string());
    assert_eq!(world.check(&format!("{header}.{mine}.{signature}")), Err(TokenError::Signature));
    assert_eq!(world.check(&format!("{text}A")), Err(TokenError::Signature));
    let stranger = Signer::p256().token(&json!({"alg": "ES256"}), &claims(world.tenant).to_string());
    assert_eq!(world.check(&stranger), Err(TokenError::Signature));
}

#[test]
fn keys_for_other_purposes_check_no_signature() {
    let signer = Signer::p256();
    for (name, value) in [("use", json!("enc")), ("key_ops", json!(["encrypt"])), ("alg", json!("ECDH-ES"))] {
        let mut jwk = signer.jwk("k");
        jwk[name] = value;
        let jwks = json!({"keys": [jwk, {"kty": "weird"}, 1]}).to_string();
        assert!(KeySet::parse(jwks.as_bytes(), 8).is_err(), "{name}");
    }
    let good =
        json!({"keys": [signer.jwk("k"), {"kty": "weird"}, {"kty": "EC", "crv": "P-521", "x": "", "y": ""}]});
    assert_eq!(KeySet::parse(good.to_string().as_bytes(), 8).map(|keys| keys.len()), Ok(1));
    assert!(KeySet::parse(good.to_string().as_bytes(), 2).is_err(), "more keys than are kept");
}
