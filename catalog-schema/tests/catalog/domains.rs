//! Custom domains whose record goes away.

use crate::fixture::Fixture;
use catalog_schema::{CatalogError, ChangedDomains, DOMAINS_VERIFIED_MAX};
use std::time::Duration;
use tenancy::DomainName;

const GRACE: Duration = Duration::from_secs(3 * 24 * 60 * 60);

#[tokio::test]
async fn grace_begins_when_the_record_is_first_found_to_be_gone() {
    let fixture = Fixture::new().await;
    let tenant = fixture.active_tenant("acme").await;
    let domain: DomainName = "shop.example.com".parse().unwrap();
    let mut tx = fixture.tx().await;
    tx.domain_create(tenant, &domain, "a challenge of some length").await.unwrap();
    tx.domain_found(tenant, &domain).await.unwrap();
    tx.commit().await.unwrap();
    let missed = async |is_gone| {
        let mut tx = fixture.tx().await;
        let record = tx.domain_missed(tenant, &domain, is_gone, GRACE).await.unwrap();
        tx.commit().await.unwrap();
        record.verified_at.is_some()
    };
    let ago = async |column: &str, days: u32| {
        let sql = format!("update catalog.custom_domains set {column} = now() - interval '{days} days'");
        fixture.raw().await.batch_execute(&sql).await.unwrap();
    };
    // Nobody looked for a while: the control plane stood still, or no name server answered.
    ago("found_at", 30).await;
    assert!(missed(false).await, "it could not be looked for");
    assert!(missed(true).await, "gone since now");
    assert!(missed(true).await);
    ago("missed_since", 2).await;
    assert!(missed(true).await, "what was begun goes on");
    let mut tx = fixture.tx().await;
    tx.domain_found(tenant, &domain).await.unwrap();
    tx.commit().await.unwrap();
    assert!(missed(true).await, "it was there in between, so grace begins anew");
    ago("missed_since", 3).await;
    assert!(!missed(true).await);
}

/// Whoever verifies and removes a domain for ever has gateways read that one, and neither the other domains nor what else
/// they know of the installation.
#[tokio::test]
async fn a_change_of_one_domain_is_told_of_that_domain() {
    let fixture = Fixture::new().await;
    let tenant = fixture.active_tenant("acme").await;
    let [shop, other]: [DomainName; 2] =
        ["shop.example.com", "other.example.com"].map(|name| name.parse().unwrap());
    let mut seen =
        fixture.catalog.route_changes_since(fixture.catalog.current_revision().await.unwrap()).await.unwrap();
    let before = seen.clone();
    for (domain, is_added) in [(&shop, true), (&other, true), (&shop, false), (&shop, true)] {
        let mut tx = fixture.tx().await;
        if is_added {
            tx.domain_create(tenant, domain, "a challenge of some length").await.unwrap();
            tx.domain_found(tenant, domain).await.unwrap();
        } else {
            tx.domain_delete(tenant, domain).await.unwrap();
        }
        tx.commit().await.unwrap();
        seen = fixture.catalog.route_changes_since(seen.revision).await.unwrap();
        assert_eq!(seen.domains, ChangedDomains::These(vec![domain.clone()]));
        assert_eq!(seen.identity, before.identity, "nothing else is read anew");
        let owners = fixture.catalog.domain_owners(&seen.domains).await.unwrap();
        assert_eq!(owners.get(domain), is_added.then_some(&tenant));
    }
    let all = fixture.catalog.domain_owners(&ChangedDomains::All).await.unwrap();
    assert_eq!(all.len(), 2);
    let prune = "update catalog.revision set pruned_through = value";
    fixture.raw().await.batch_execute(prune).await.unwrap();
    let lost = fixture.catalog.route_changes_since(before.revision).await.unwrap();
    assert_eq!(lost.domains, ChangedDomains::All, "who is too far behind reads all");
    let mut tx = fixture.tx().await;
    tx.domain_delete(tenant, &other).await.unwrap();
    tx.commit().await.unwrap();
    let kept = fixture.raw().await.query("select 1 from catalog.domain_changes", &[]).await.unwrap();
    assert_eq!(kept.len(), 1, "what nobody reads is not kept");
}

/// They are in every gateway's memory.
#[tokio::test]
async fn all_tenants_together_have_a_bounded_number_of_verified_domains() {
    let fixture = Fixture::new().await;
    let tenant = fixture.active_tenant("acme").await;
    let crowd = format!(
        "insert into catalog.custom_domains (tenant_id, domain, challenge, verified_at, found_at)
           select '{tenant}', 'n' || n || '.example.com', 'a challenge of some length', now(), now()
           from generate_series(1, {DOMAINS_VERIFIED_MAX}) n"
    );
    fixture.raw().await.batch_execute(&crowd).await.unwrap();
    let other = fixture.active_tenant("other").await;
    let domain: DomainName = "one.too.many.example.com".parse().unwrap();
    let mut tx = fixture.tx().await;
    tx.domain_create(other, &domain, "a challenge of some length").await.unwrap();
    tx.commit().await.unwrap();
    let verify = async || {
        let mut tx = fixture.tx().await;
        tx.domain_found(other, &domain).await?;
        tx.commit().await
    };
    let refused = verify().await.unwrap_err();
    assert!(matches!(refused, CatalogError::LimitReached { max: DOMAINS_VERIFIED_MAX, .. }), "{refused:?}");
    let row = fixture.catalog.domain_get(other, &domain).await.unwrap();
    assert!(row.is_some_and(|row| row.verified_at.is_none()), "it leads nowhere");
    let less = "delete from catalog.custom_domains where domain = 'n7.example.com'";
    fixture.raw().await.batch_execute(less).await.unwrap();
    verify().await.unwrap();
}
