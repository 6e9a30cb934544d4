//! Features and allow lists: what the catalog bounds, and what gateways follow.

use crate::fixture::Fixture;
use catalog_schema::{ALLOW_LIST_MAX, CatalogError, Constraint, FEATURES_MAX, FeatureSettings, OwnFeature};
use futures_util::future::join_all;
use std::net::Ipv4Addr;
use tenancy::{AddressRange, BuiltIn, FeatureName, Percentage, Rollout, TenantId};

fn name(text: &str) -> FeatureName {
    text.parse().unwrap()
}

fn settings(plans: &[(&str, bool)]) -> FeatureSettings {
    let plans = plans.iter().map(|(plan, is_on)| (plan.parse().unwrap(), *is_on)).collect();
    let rollout = Rollout { by_default: false, percentage: Percentage::default(), plans };
    FeatureSettings { description: String::new(), rollout }
}

#[tokio::test]
async fn the_gateways_own_are_there_and_stay() {
    let fixture = Fixture::new().await;
    let document = fixture.catalog.features_document().await.unwrap();
    for feature in BuiltIn::ALL {
        let rollout = &document.features[&name(feature.as_str())];
        assert_eq!(rollout.by_default, feature.by_default(), "{}", feature.as_str());
        let refused = fixture.tx().await.feature_delete(&name(feature.as_str())).await.unwrap_err();
        assert_eq!(refused, CatalogError::Refused { constraint: Constraint::FeatureBuiltIn });
    }
}

#[tokio::test]
async fn what_is_said_of_plans_is_a_change_that_gateways_hear_of() {
    let fixture = Fixture::new().await;
    let beta = name("beta");
    let mut tx = fixture.tx().await;
    let made = tx.feature_create(&beta, &settings(&[])).await.unwrap();
    tx.commit().await.unwrap();
    let before = fixture.catalog.features_document().await.unwrap();
    let mut tx = fixture.tx().await;
    let changed = tx.feature_update(&beta, &settings(&[("free", true), ("standard", false)])).await.unwrap();
    tx.commit().await.unwrap();
    assert!(changed.version > made.version);
    let after = fixture.catalog.features_document().await.unwrap();
    assert!(after.version > before.version);
    assert_eq!(after.features[&beta], changed.rollout);
    let nobodys = fixture.tx().await.feature_update(&beta, &settings(&[("no-such-plan", true)])).await;
    assert_eq!(nobodys.unwrap_err(), CatalogError::NotFound { what: "plan" });
}

#[tokio::test]
async fn there_are_no_more_than_every_gateway_can_keep() {
    let fixture = Fixture::new().await;
    let fill = format!(
        "insert into catalog.features (name, by_default)
         select 'f-' || n, false from generate_series(1, {FEATURES_MAX} - (select count(*) from catalog.features)) n"
    );
    fixture.raw().await.batch_execute(&fill).await.unwrap();
    let refused = fixture.tx().await.feature_create(&name("beta"), &settings(&[])).await.unwrap_err();
    assert_eq!(refused, CatalogError::LimitReached { what: "features", max: FEATURES_MAX });

    let tenant = fixture.active_tenant("acme").await;
    let ranges: Vec<AddressRange> = (0..=ALLOW_LIST_MAX)
        .map(|number| Ipv4Addr::from_bits(number).into())
        .map(|ip: std::net::IpAddr| ip.into())
        .collect();
    let most = usize::try_from(ALLOW_LIST_MAX).unwrap();
    let mut tx = fixture.tx().await;
    tx.allow_list_set(tenant, None, &ranges[..most]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(fixture.catalog.allow_list(tenant).await.unwrap().len(), most);
    assert!(fixture.tx().await.allow_list_set(tenant, None, &ranges).await.is_err());
}

async fn give(fixture: &Fixture, tenant: TenantId, feature: &FeatureName) -> Result<(), CatalogError> {
    let mut tx = fixture.tx().await;
    let own = OwnFeature { feature: feature.clone(), is_on: true, expires_at: None };
    tx.tenant_feature_set(tenant, &own).await?;
    tx.commit().await.map(drop)
}

async fn remove(fixture: &Fixture, feature: &FeatureName) {
    let mut tx = fixture.tx().await;
    tx.feature_delete(feature).await.unwrap();
    tx.commit().await.unwrap();
}

/// Each takes rows of several tenants; whoever took them in an order of his own would be a victim now and then.
#[tokio::test(flavor = "multi_thread")]
async fn features_are_removed_and_given_at_once_and_nobody_is_sent_away() {
    let fixture = Fixture::new().await;
    let mut tenants = Vec::new();
    for slug in ["acme", "globex", "initech"] {
        tenants.push(fixture.active_tenant(slug).await);
    }
    let features = [name("alpha"), name("beta")];
    for _ in 0..10 {
        for feature in &features {
            let mut tx = fixture.tx().await;
            tx.feature_create(feature, &settings(&[])).await.unwrap();
            tx.commit().await.unwrap();
        }
        for (tenant, feature) in tenants.iter().zip(features.iter().cycle()) {
            give(&fixture, *tenant, feature).await.unwrap();
        }
        let giving = tenants.iter().rev().flat_map(|tenant| {
            let fixture = &fixture;
            features.iter().map(async move |feature| give(fixture, *tenant, feature).await)
        });
        let removing = join_all(features.iter().map(async |feature| remove(&fixture, feature).await));
        let (given, _) = tokio::join!(join_all(giving), removing);
        for outcome in given {
            assert!(
                matches!(outcome, Ok(()) | Err(CatalogError::NotFound { what: "feature" })),
                "{outcome:?}"
            );
        }
    }
}
