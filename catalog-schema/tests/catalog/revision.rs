//! The revision: what raises it, and that nobody who follows it misses a change.

use crate::fixture::{DEADLINE, Fixture, api_key, context, name, password, placement, slug, tenant};
use catalog_schema::{Catalog, Changed, ClusterPatch, Entitlement, PlanRecord, Retention, TenantPatch};
use pgwire::scram::ClientKeys;
use std::collections::BTreeSet;
use std::time::Duration;
use tenancy::{ClusterState, Revision, TenantId, TenantState, TlsMode};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// What changed since `after`, one tenant or everything; `None` when nothing did.
async fn changed(catalog: &Catalog, after: Revision) -> Option<Changed> {
    let changes = catalog.route_changes_since(after).await.unwrap();
    (changes.revision > after).then_some(changes.changed)
}

macro_rules! assert_change {
    ($fixture:expr, $wakeups:expr, $expected:expr, |$tx:ident| $change:expr) => {{
        let before = $fixture.catalog.current_revision().await.unwrap();
        let mut $tx = $fixture.tx().await;
        $change.unwrap();
        $tx.commit().await.unwrap();
        assert_eq!(changed(&$fixture.catalog, before).await, Some($expected), "{}", stringify!($change));
        timeout(DEADLINE, $wakeups.next()).await.expect(stringify!($change)).unwrap();
        let after = $fixture.catalog.current_revision().await.unwrap();
        assert_eq!(after.get(), before.get() + 1, "one revision a transaction: {}", stringify!($change));
    }};
}

#[tokio::test]
async fn every_change_of_a_tenants_route_is_announced_with_its_name() {
    let fixture = Fixture::new().await;
    let mut wakeups = fixture.catalog.listen_routes().await.unwrap();
    let new = tenant("acme");
    let id = new.id;
    let own = || Changed::Tenants(vec![id]);
    assert_change!(fixture, wakeups, own(), |tx| tx.tenant_create(&new).await);
    let place = placement(id, fixture.cluster("eu-1").await.cluster.id);
    assert_change!(fixture, wakeups, own(), |tx| tx.placement_create(&place).await);
    assert_change!(fixture, wakeups, own(), |tx| tx.database_created(id, 5).await);
    assert_change!(fixture, wakeups, own(), |tx| tx
        .placement_keys_set(id, &ClientKeys::generate().unwrap().0)
        .await);
    assert_change!(fixture, wakeups, own(), |tx| tx.tenant_set_state(id, TenantState::Active).await);
    let key = api_key(id, [7; 32]);
    assert_change!(fixture, wakeups, own(), |tx| tx.credential_create(&key).await);
    assert_change!(fixture, wakeups, own(), |tx| tx.credential_revoke(id, key.id).await);
    assert_change!(fixture, wakeups, own(), |tx| tx.credentials_delete(id).await);
    let limits = Entitlement { pool_size: Some(9), ..Entitlement::default() };
    assert_change!(fixture, wakeups, own(), |tx| tx.entitlement_set(id, &limits).await);
    for patch in [
        TenantPatch { slug: Some(slug("acme-2")), ..TenantPatch::default() },
        TenantPatch { plan: Some("standard".parse().unwrap()), ..TenantPatch::default() },
        TenantPatch { allowed_regions: Some(vec![name("eu"), name("us")]), ..TenantPatch::default() },
    ] {
        assert_change!(fixture, wakeups, own(), |tx| tx.tenant_update(id, None, &patch).await);
    }
    assert_change!(fixture, wakeups, own(), |tx| tx.tenant_set_state(id, TenantState::Suspended).await);
}

#[tokio::test]
async fn a_change_of_a_cluster_or_a_plan_concerns_everybody() {
    let fixture = Fixture::new().await;
    let mut wakeups = fixture.catalog.listen_routes().await.unwrap();
    let cluster = fixture.cluster("eu-1").await;
    for patch in [
        ClusterPatch { state: Some(ClusterState::Offline), ..ClusterPatch::default() },
        ClusterPatch { host: Some("elsewhere".to_owned()), ..ClusterPatch::default() },
        ClusterPatch { port: Some(5433), ..ClusterPatch::default() },
        ClusterPatch { connection_budget: Some(7), ..ClusterPatch::default() },
        ClusterPatch { tls_mode: Some(TlsMode::VerifyFull), ..ClusterPatch::default() },
        ClusterPatch { tls_ca: Some("a certificate".to_owned()), ..ClusterPatch::default() },
        ClusterPatch { tls_server_name: Some("db.example.com".to_owned()), ..ClusterPatch::default() },
    ] {
        assert_change!(fixture, wakeups, Changed::Everything, |tx| {
            tx.cluster_update(cluster.cluster.id, None, &patch).await
        });
    }
    let plans = fixture.catalog.plans().await.unwrap();
    let mut free = plans.into_iter().find(|plan| plan.name.as_str() == "free").unwrap();
    free.limits.pool_size = 6;
    assert_change!(fixture, wakeups, Changed::Everything, |tx| tx.plan_set(&free).await);
}

#[tokio::test]
async fn what_is_no_part_of_a_route_announces_nothing() {
    let fixture = Fixture::new().await;
    let id = fixture.active_tenant("acme").await;
    let cluster = fixture.cluster("eu-1").await.cluster.id;
    let before = fixture.catalog.current_revision().await.unwrap();
    let generation = fixture.read(id).await.generation;
    let mut tx = fixture.tx().await;
    let patch = TenantPatch { display_name: Some("New name".to_owned()), ..TenantPatch::default() };
    tx.tenant_update(id, None, &patch).await.unwrap();
    tx.tenant_set_state(id, TenantState::Active).await.unwrap();
    tx.database_created(id, 4_000_000_002).await.unwrap();
    let patch = ClusterPatch { capacity: Some(7), ..ClusterPatch::default() };
    tx.cluster_update(cluster, None, &patch).await.unwrap();
    let plan =
        PlanRecord { name: "new".parse().unwrap(), ..fixture.catalog.plans().await.unwrap()[0].clone() };
    tx.plan_set(&plan).await.unwrap();
    tx.commit().await.unwrap();
    fixture.enqueue(Some(id)).await;
    assert_eq!(fixture.catalog.current_revision().await.unwrap(), before);
    assert_eq!(fixture.read(id).await.generation, generation);
}

#[tokio::test]
async fn a_change_that_is_rolled_back_was_none() {
    let fixture = Fixture::new().await;
    let before = fixture.catalog.current_revision().await.unwrap();
    let mut tx = fixture.tx().await;
    tx.tenant_create(&tenant("acme")).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(fixture.catalog.current_revision().await.unwrap(), before);
    assert_eq!(fixture.catalog.tenant_by_slug(&slug("acme")).await.unwrap(), None);
}

#[tokio::test]
async fn a_reader_that_is_too_far_behind_or_ahead_takes_everything_for_changed() {
    let fixture = Fixture::new().await;
    for number in 0..5 {
        fixture.tenant(&format!("tenant-{number}")).await;
    }
    let now = fixture.catalog.current_revision().await.unwrap();
    let ahead = Revision::new(now.get() + 1);
    assert_eq!(fixture.catalog.route_changes_since(ahead).await.unwrap().changed, Changed::Everything);
    let retention = Retention { route_revisions: 2, ..Retention::default() };
    assert_eq!(fixture.catalog.prune(&retention).await.unwrap().route_changes, 3);
    let behind = Revision::new(now.get() - 3);
    assert_eq!(changed(&fixture.catalog, behind).await, Some(Changed::Everything));
    let near = changed(&fixture.catalog, Revision::new(now.get() - 2)).await;
    assert!(matches!(near, Some(Changed::Tenants(tenants)) if tenants.len() == 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_the_revision_misses_nothing() {
    let fixture = Fixture::new().await;
    let start = fixture.catalog.current_revision().await.unwrap();
    let mut writers = JoinSet::new();
    for writer in 0..6 {
        let catalog = fixture.catalog.clone();
        writers.spawn(async move {
            let mut made = Vec::new();
            for number in 0..15 {
                let new = tenant(&format!("w{writer}-n{number}"));
                let mut tx = catalog.begin(&context()).await.unwrap();
                tx.tenant_create(&new).await.unwrap();
                // Some transactions stay open for longer than others that began later.
                tokio::time::sleep(Duration::from_millis(u64::try_from(writer * 3 + number % 4).unwrap()))
                    .await;
                tx.credential_create(&password(new.id, "app")).await.unwrap();
                tx.commit().await.unwrap();
                made.push(new.id);
            }
            made
        });
    }
    let follower = fixture.catalog.clone();
    let (done, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let following = tokio::spawn(async move {
        let mut applied = start;
        let mut seen: BTreeSet<TenantId> = BTreeSet::new();
        loop {
            let last_round = stopped.try_recv().is_ok();
            let changes = follower.route_changes_since(applied).await.unwrap();
            let Changed::Tenants(tenants) = changes.changed else { panic!("single changes are listed") };
            for id in tenants {
                // All of the transaction is there, not only the row that was named.
                let route = follower.route_by_id(id).await.unwrap().unwrap();
                assert_eq!(route.credentials.len(), 1);
                assert!(seen.insert(id), "each tenant changed in one transaction");
            }
            applied = changes.revision;
            if last_round {
                return (applied, seen);
            }
        }
    });
    let made: BTreeSet<TenantId> = writers.join_all().await.into_iter().flatten().collect();
    done.send(()).unwrap();
    let (applied, seen) = following.await.unwrap();
    assert_eq!(seen, made);
    assert_eq!(applied.get(), start.get() + i64::try_from(made.len()).unwrap());
}
