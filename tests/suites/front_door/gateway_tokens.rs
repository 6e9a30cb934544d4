//! The control plane's tokens in every state. What it would not sign, a key of ours signs, which the catalog knows as one of
//! its former ones.

use crate::STACK;
use crate::axes::Case;
use crate::credentials::{Proofs, Spoil};
use crate::people::Person;
use crate::world::{Owners, Proof};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use harness::oidc::now;
use rcgen::{KeyPair, PKCS_ED25519, SigningKey};
use serde_json::{Value, json};

/// A key that signs as the control plane does.
struct FormerKey {
    id: String,
    pair: KeyPair,
}

impl FormerKey {
    fn generate(id: String) -> Self {
        Self { id, pair: KeyPair::generate_for(&PKCS_ED25519).expect("randomness") }
    }

    /// One whose signatures are still believed.
    async fn known() -> Self {
        let catalog = STACK.catalog_admin().await;
        let mut key = Self::generate(String::new());
        let sql = "insert into catalog.signing_keys
                     (id, public_key, private_key, signs_from, signs_until, verifies_until)
                   values (gen_random_uuid(), $1, '', now() - interval '2 days', now() - interval '1 day',
                           now() + interval '1 day')
                   returning id::text";
        let row = catalog.query_one(sql, &[&key.pair.public_key_raw()]).await.expect("a good key");
        key.id = row.get(0);
        key
    }

    /// A token of this age, in seconds, which is good for five minutes in all.
    fn token(&self, person: &Person, tenant: &str, age: u64) -> Proof {
        let header = json!({ "alg": "EdDSA", "typ": "tenantry+jwt", "kid": self.id });
        let issued_at = now() - age;
        let claims = json!({
            "iss": "tenantry", "aud": "tenantry-gateway", "sub": person.id, "tenant_id": tenant, "access": "write",
            "sid": person.id, "session_exp": issued_at + 3600, "jti": "door", "iat": issued_at, "exp": issued_at + 300,
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(&claims));
        let signature = self.pair.sign(message.as_bytes()).expect("a key that signs");
        Proof::Token(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

pub(crate) async fn make(person: &Person, owners: &Owners) -> (Proofs, Spoil) {
    let (former, withdrawn) = (FormerKey::known().await, FormerKey::known().await);
    let spoil = Spoil::Sql(format!("delete from catalog.signing_keys where id = '{}'", withdrawn.id));
    let mine = &owners.mine;
    let proofs = Proofs::new([
        (Case::Right, Proof::Token(person.token(mine).await)),
        (Case::Suspended, Proof::Token(person.token(&owners.suspended).await)),
        (Case::Purged, Proof::Token(person.token(&owners.purged).await)),
        (Case::Wrong, FormerKey::generate(former.id.clone()).token(person, &mine.id, 0)),
        (Case::Expired, former.token(person, &mine.id, 600)),
        (Case::Revoked, Proof::Token(person.brief_token(mine).await)),
        (Case::BothOld, former.token(person, &mine.id, 0)),
        (Case::GoneOld, withdrawn.token(person, &mine.id, 0)),
    ]);
    (proofs, spoil)
}
