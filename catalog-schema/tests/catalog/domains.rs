//! Custom domains whose record goes away.

use crate::fixture::Fixture;
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
