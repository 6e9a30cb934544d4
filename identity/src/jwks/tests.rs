use super::*;
use crate::testing::issuer;
use tenancy::{ClaimShape, TenantForm, TenantId};

/// Nothing listens there: the discard port is reserved, and no test opens it.
const NOBODY: &str = "http://127.0.0.1:9/jwks";

fn jwks(settings: IdentityConfig) -> Jwks {
    Jwks::new(settings, RootCertStore::empty())
}

fn at(url: &str) -> Arc<Issuer> {
    Arc::new(Issuer { jwks_url: url.to_owned(), ..issuer(ClaimShape::Tenant, TenantForm::Id) })
}

fn failed(jwks: &Jwks) -> u64 {
    jwks.counts().failed.load(Ordering::Relaxed)
}

#[tokio::test]
async fn the_longest_unused_issuer_makes_room() {
    let jwks = jwks(IdentityConfig { issuers_max: 2, ..IdentityConfig::default() });
    let [first, second, third] = [at(NOBODY), at(NOBODY), at(NOBODY)];
    for issuer in [&first, &second, &first, &third] {
        let refused = jwks.keys(issuer, None).await.expect_err("nobody answers");
        assert_eq!(refused, JwksError::Fetch(FetchError::Unreachable));
    }
    assert_eq!(jwks.len(), 2);
    // The one that was used again is still there, and what failed a moment ago is not tried anew.
    let before = failed(&jwks);
    assert!(jwks.keys(&first, None).await.is_err());
    assert_eq!(failed(&jwks), before);
    assert!(jwks.keys(&second, None).await.is_err());
    assert_eq!(failed(&jwks), before + 1);
}

#[tokio::test]
async fn an_issuer_that_fails_is_not_asked_again_at_once_however_many_want_its_keys() {
    let jwks = Arc::new(jwks(IdentityConfig::default()));
    let issuer = at(NOBODY);
    let wanting: Vec<_> = (0..20)
        .map(|number| {
            let (jwks, issuer) = (Arc::clone(&jwks), Arc::clone(&issuer));
            tokio::spawn(async move { jwks.keys(&issuer, Some(&format!("key-{number}"))).await.is_err() })
        })
        .collect();
    for one in wanting {
        assert!(one.await.expect("no panic"));
    }
    assert_eq!(failed(&jwks), 1);
}

#[tokio::test]
async fn an_issuer_that_moved_is_asked_where_it_is_now() {
    let jwks = jwks(IdentityConfig::default());
    let issuer = at(NOBODY);
    assert!(jwks.keys(&issuer, None).await.is_err());
    let moved = Arc::new(Issuer { jwks_url: "http://localhost:9/jwks".to_owned(), ..(*issuer).clone() });
    assert!(jwks.keys(&moved, None).await.is_err());
    assert_eq!((failed(&jwks), jwks.len()), (2, 1));
}

#[tokio::test]
async fn a_tenants_issuer_is_not_looked_for_on_this_machine() {
    let jwks = jwks(IdentityConfig::default());
    for url in [NOBODY, "https://localhost:9/jwks", "https://127.0.0.1:9/jwks"] {
        let own = Arc::new(Issuer { tenant: Some(TenantId::generate()), ..(*at(url)).clone() });
        let refused = jwks.keys(&own, None).await.expect_err("not there");
        assert_eq!(refused, JwksError::Fetch(FetchError::NotPublic), "{url}");
    }
}
