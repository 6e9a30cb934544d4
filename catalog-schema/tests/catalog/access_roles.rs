//! The login roles beside the owner's.

use crate::fixture::{Fixture, role_keys};
use catalog_schema::{CatalogError, Constraint, NameKind, Page, RoleLogin};
use pgwire::scram::ClientKeys;
use tenancy::{Access, CredentialId, TenantId};

fn login() -> RoleLogin {
    let name = format!("t_{}", CredentialId::generate().as_uuid().simple());
    RoleLogin { role: name.parse().unwrap(), keys: ClientKeys::generate().unwrap().0 }
}

/// Gives the tenant both roles, not ready yet.
async fn reserve(fixture: &Fixture, id: TenantId) -> [RoleLogin; 2] {
    let logins = [login(), login()];
    let mut tx = fixture.tx().await;
    for (access, login) in Access::GRANTED.into_iter().zip(&logins) {
        tx.access_role_create(id, access, login).await.unwrap();
    }
    tx.commit().await.unwrap();
    logins
}

async fn ready(fixture: &Fixture, id: TenantId) {
    let mut tx = fixture.tx().await;
    tx.access_roles_ready(id).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_route_has_them_once_they_are_ready_and_its_generation_rises_then() {
    let fixture = Fixture::new().await;
    let id = fixture.active_tenant("acme").await;
    let before = fixture.catalog.route_by_id(id).await.unwrap().unwrap();
    let [write, read] = reserve(&fixture, id).await;
    let reserved = fixture.catalog.route_by_id(id).await.unwrap().unwrap();
    assert_eq!(reserved.generation, before.generation);
    let placement = reserved.placement.unwrap();
    assert_eq!(placement.login(Access::Owner).unwrap().keys, role_keys());
    assert!(Access::GRANTED.into_iter().all(|access| placement.login(access).is_none()));

    let seen = fixture.catalog.current_revision().await.unwrap();
    ready(&fixture, id).await;
    let route = fixture.catalog.route_by_id(id).await.unwrap().unwrap();
    assert!(route.generation > before.generation);
    assert!(fixture.catalog.current_revision().await.unwrap() > seen, "gateways hear of it");
    let placement = route.placement.unwrap();
    assert_eq!(placement.login(Access::Write), Some(&write));
    assert_eq!(placement.login(Access::Read), Some(&read));
}

#[tokio::test]
async fn there_is_one_for_each_access_and_its_name_is_never_used_again() {
    let fixture = Fixture::new().await;
    let id = fixture.active_tenant("acme").await;
    let [write, _] = reserve(&fixture, id).await;
    let mut tx = fixture.tx().await;
    let second = tx.access_role_create(id, Access::Write, &login()).await.unwrap_err();
    assert!(matches!(second, CatalogError::Conflict { .. }), "{second}");
    drop(tx);
    let other = fixture.active_tenant("other").await;
    let mut tx = fixture.tx().await;
    let used = tx.access_role_create(other, Access::Write, &write).await.unwrap_err();
    assert_eq!(used, CatalogError::Conflict { constraint: Constraint::PhysicalNameUsed });
    drop(tx);
    let mut tx = fixture.tx().await;
    let unplaced = tx.access_role_create(TenantId::generate(), Access::Write, &login()).await.unwrap_err();
    assert_eq!(unplaced, CatalogError::NotFound { what: "placement" });
}

#[tokio::test]
async fn an_oid_is_recorded_once_for_each() {
    let fixture = Fixture::new().await;
    let id = fixture.active_tenant("acme").await;
    reserve(&fixture, id).await;
    let mut tx = fixture.tx().await;
    tx.access_role_created(id, Access::Read, 17).await.unwrap();
    tx.access_role_created(id, Access::Read, 17).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = fixture.tx().await;
    let other = tx.access_role_created(id, Access::Read, 18).await.unwrap_err();
    assert_eq!(other, CatalogError::Refused { constraint: Constraint::LedgerAppendOnly });
}

#[tokio::test]
async fn a_place_is_not_forgotten_while_one_may_be_there() {
    let fixture = Fixture::new().await;
    let id = fixture.active_tenant("acme").await;
    let logins = reserve(&fixture, id).await;
    ready(&fixture, id).await;
    let place = fixture.catalog.placement_get(id).await.unwrap().unwrap();
    let mut tx = fixture.tx().await;
    tx.physical_name_dropped(id, NameKind::Database, place.database.as_str()).await.unwrap();
    tx.physical_name_dropped(id, NameKind::Role, place.role.as_str()).await.unwrap();
    tx.physical_name_dropped(id, NameKind::Role, logins[0].role.as_str()).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = fixture.tx().await;
    let early = tx.placement_delete(id).await.unwrap_err();
    assert_eq!(early, CatalogError::Refused { constraint: Constraint::NotProvenDropped });
    drop(tx);
    let mut tx = fixture.tx().await;
    tx.physical_name_dropped(id, NameKind::Role, logins[1].role.as_str()).await.unwrap();
    tx.placement_delete(id).await.unwrap();
    tx.commit().await.unwrap();
    assert!(fixture.catalog.placement_get(id).await.unwrap().is_none());
}

#[tokio::test]
async fn active_tenants_that_lack_some_are_found_a_page_at_a_time() {
    let fixture = Fixture::new().await;
    let mut lacking = Vec::new();
    for slug in ["one", "two", "three"] {
        lacking.push(fixture.active_tenant(slug).await);
    }
    lacking.sort_unstable();
    fixture.tenant("unplaced").await;
    let complete = fixture.active_tenant("complete").await;
    reserve(&fixture, complete).await;
    ready(&fixture, complete).await;
    reserve(&fixture, lacking[0]).await;
    let cluster = fixture.cluster("eu-1").await.cluster.id;
    let lacking: Vec<_> = lacking.into_iter().map(|tenant| (tenant, cluster)).collect();
    let first = fixture.catalog.placements_lacking_roles(&Page::first(2)).await.unwrap();
    assert_eq!(first, lacking[..2], "one that is reserved and not ready is lacking too");
    let rest = fixture.catalog.placements_lacking_roles(&Page::after(first[1].0, 2)).await.unwrap();
    assert_eq!(rest, lacking[2..]);

    let roles = fixture.catalog.access_roles_on(cluster, &Page::first(10)).await.unwrap();
    assert_eq!(roles.len(), 2, "those that are ready");
    assert!(roles.iter().all(|placed| placed.tenant == complete));
}

#[tokio::test]
async fn keys_open_for_their_own_tenant_and_access_only() {
    let fixture = Fixture::new().await;
    let id = fixture.active_tenant("acme").await;
    reserve(&fixture, id).await;
    ready(&fixture, id).await;
    let swap = format!(
        "update catalog.placement_roles set keys = (select keys from catalog.placement_roles
           where tenant_id = '{id}' and access = 'write') where tenant_id = '{id}' and access = 'read'"
    );
    fixture.raw().await.batch_execute(&swap).await.unwrap();
    assert!(fixture.catalog.route_by_id(id).await.is_err());
}
