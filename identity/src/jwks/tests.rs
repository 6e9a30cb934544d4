use super::source::{Attempt, Attempts};
use super::*;
use crate::testing::issuer;
use std::time::{Duration, Instant};
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

#[test]
fn a_key_that_is_new_while_another_is_fetched_is_asked_for_once_more_and_no_oftener() {
    let retry_after = Duration::from_secs(3_600);
    let mut attempts = Attempts::default();
    let began = Instant::now();
    attempts.add(Attempt { began, ended: Instant::now(), error: None });
    let asked = Instant::now();
    assert!(attempts.newer_than(asked).is_none(), "it was read before the question");
    assert!(attempts.too_many(retry_after).is_none());
    attempts.add(Attempt { began: asked, ended: Instant::now(), error: None });
    assert!(attempts.newer_than(asked).is_some());
    assert!(attempts.too_many(retry_after).is_some());
    assert!(attempts.too_many(Duration::ZERO).is_none());
}

#[test]
fn who_failed_a_moment_ago_is_left_alone() {
    let mut attempts = Attempts::default();
    let now = Instant::now();
    attempts.add(Attempt { began: now, ended: now, error: Some(FetchError::Unreachable) });
    assert!(attempts.too_many(Duration::from_secs(3_600)).is_some());
}

#[tokio::test]
async fn a_tenant_that_makes_issuers_anew_has_no_more_asked_and_takes_nobodys_place() {
    let jwks = jwks(IdentityConfig { issuers_max: 20, private_issuers: true, ..IdentityConfig::default() });
    let (tenant, kept) = (TenantId::generate(), at(NOBODY));
    assert!(jwks.keys(&kept, None).await.is_err());
    for _ in 0..100 {
        let own = Issuer { id: tenancy::IssuerId::generate(), tenant: Some(tenant), ..(*at(NOBODY)).clone() };
        assert!(jwks.keys(&Arc::new(own), None).await.is_err());
    }
    assert!(failed(&jwks) < 100, "{} fetches", failed(&jwks));
    assert!(jwks.counts().held_back.load(Ordering::Relaxed) > 0);
    assert_eq!(jwks.len(), 9, "the tenant's eight and the other");
    let before = failed(&jwks);
    assert!(jwks.keys(&kept, None).await.is_err());
    assert_eq!(failed(&jwks), before, "it is still known to have failed a moment ago");
}
