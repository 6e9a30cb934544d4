use super::drifters::Drifters;
use crate::operations::standard;
use crate::testing::World;
use catalog_schema::RoleSettings;
use std::time::Duration;
use tenancy::{Access, RoleName, TenantId, TenantState};

use super::look_once as pass;

async fn role_for(world: &World, tenant: TenantId, access: Access) -> RoleName {
    let placement = world.catalog.placement_get(tenant).await.unwrap().unwrap();
    placement.access_roles.into_iter().find(|role| role.access == access).unwrap().login.role
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_of_an_older_release_gets_its_roles_and_they_get_at_what_it_has() {
    let world = World::new().await;
    let tenant = standard::tenant_in(&world, TenantState::Active).await;
    world.forget_access_roles(tenant).await;
    let mut owner = world.log_in(tenant).await;
    let schema = r#"create schema "Its own"; create table "Its own"."A table" (id int generated always as identity, n serial);
        create view public.shown as select n from "Its own"."A table";
        create materialized view counted as select count(*) from shown;
        create table parted (n int) partition by list (n); create table part partition of parted for values in (1);"#;
    owner.query(schema).await.unwrap();

    pass(&world.engine).await;
    let route = world.catalog.route_by_id(tenant).await.unwrap().unwrap();
    assert!(route.placement.unwrap().login(Access::Read).is_some(), "gateways are told");
    let mut writer = world.log_in_as(tenant, Access::Write).await;
    let writes = r#"insert into "Its own"."A table" default values; insert into parted values (1);
        insert into part values (1); update part set n = 1; delete from parted where false"#;
    writer.query(writes).await.unwrap();
    let mut reader = world.log_in_as(tenant, Access::Read).await;
    for query in
        [r#"table "Its own"."A table""#, "table shown", "table counted", "table part", "table parted"]
    {
        reader.query(query).await.unwrap();
    }
    owner.query("create schema later; create table later.made (n int)").await.unwrap();
    writer.query("insert into later.made values (1)").await.unwrap();
    assert_eq!(reader.query("table later.made").await.unwrap(), [[Some("1".to_owned())]]);
    assert!(reader.query("insert into later.made values (2)").await.is_err());

    let before = role_for(&world, tenant, Access::Read).await;
    pass(&world.engine).await;
    assert_eq!(role_for(&world, tenant, Access::Read).await, before, "it changes no others");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_tenant_gets_no_roles_that_could_log_in() {
    let world = World::new().await;
    let tenant = standard::tenant_in(&world, TenantState::Suspended).await;
    world.forget_access_roles(tenant).await;
    pass(&world.engine).await;
    assert!(world.catalog.placement_get(tenant).await.unwrap().unwrap().access_roles.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_has_locked_itself_out_is_let_in_again() {
    let world = World::new().await;
    let tenant = standard::tenant_in(&world, TenantState::Active).await;
    for access in Access::GRANTED {
        let locking = "alter role current_user password 'another'";
        world.log_in_as(tenant, access).await.query(locking).await.unwrap();
        assert!(world.try_log_in_as(tenant, access).await.is_none(), "{access}");
    }
    pass(&world.engine).await;
    for access in Access::GRANTED {
        world.log_in_as(tenant, access).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_a_role_has_given_itself_are_taken_back() {
    let world = World::new().await;
    let tenant = standard::tenant_in(&world, TenantState::Active).await;
    let database = world.catalog.placement_get(tenant).await.unwrap().unwrap().database;
    let write = role_for(&world, tenant, Access::Write).await;
    for setting in [
        "alter role current_user set default_transaction_read_only = on".to_owned(),
        format!("alter role current_user in database {database} set default_transaction_read_only = on"),
        "alter role current_user in database postgres set default_transaction_read_only = on".to_owned(),
    ] {
        world.log_in_as(tenant, Access::Write).await.query(&setting).await.unwrap();
        pass(&world.engine).await;
        let mut client = world.log_in_as(tenant, Access::Write).await;
        let shown = client.query("show default_transaction_read_only").await.unwrap();
        assert_eq!(shown, [[Some("off".to_owned())]], "{setting}");
        let kept = "select count(*) from pg_db_role_setting where setrole = $1::text::regrole";
        let kept: i64 = world.admin.query_one(kept, &[&write.as_str()]).await.unwrap().get(0);
        assert_eq!(kept, 0, "{setting}: otherwise each look would find it again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_goes_on_changing_itself_is_not_put_in_order_at_each_look() {
    let world = World::new().await;
    let tenant = standard::tenant_in(&world, TenantState::Active).await;
    let mut drifters = Drifters::default();
    let locking = "alter role current_user password 'another'";
    world.log_in_as(tenant, Access::Read).await.query(locking).await.unwrap();
    super::pass(&world.engine, &mut drifters).await;
    world.log_in_as(tenant, Access::Read).await.query(locking).await.unwrap();
    super::pass(&world.engine, &mut drifters).await;
    assert!(world.try_log_in_as(tenant, Access::Read).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_never_committed_does_not_hold_the_cluster() {
    let world = World::new().await;
    let tenant = standard::tenant_in(&world, TenantState::Active).await;
    let mut holder = world.log_in_as(tenant, Access::Read).await;
    let mut other = world.log_in_as(tenant, Access::Read).await;
    other.query("alter role current_user set work_mem = '1MB'").await.unwrap();
    holder.query("begin; alter role current_user set work_mem = '2MB'").await.unwrap();
    let placement = world.catalog.placement_get(tenant).await.unwrap().unwrap();
    let admin = world.catalog.cluster_admin(placement.cluster).await.unwrap().unwrap();
    let ddl = world.engine.clusters.lock(&admin.into()).await.unwrap();
    // Longer than it waits for the role, shorter than any other statement waits for a lock.
    let settings = RoleSettings::default();
    let order = crate::access_roles::put_in_order(&ddl, &placement, &settings);
    let waits = tokio::time::timeout(Duration::from_secs(8), order);
    let refused = waits.await.expect("it gives up soon").unwrap_err();
    assert!(refused.to_string().contains("lock timeout"), "{refused}");
    ddl.release().await;
    holder.query("rollback").await.unwrap();
    pass(&world.engine).await;
    world.log_in_as(tenant, Access::Read).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_owner_took_from_a_role_stays_taken() {
    let world = World::new().await;
    let tenant = standard::tenant_in(&world, TenantState::Active).await;
    let read = role_for(&world, tenant, Access::Read).await;
    let mut owner = world.log_in(tenant).await;
    owner.query(&format!("create table secret (); revoke all on secret from {read}")).await.unwrap();
    let locking = "alter role current_user password 'another'";
    world.log_in_as(tenant, Access::Read).await.query(locking).await.unwrap();
    pass(&world.engine).await;
    let mut reader = world.log_in_as(tenant, Access::Read).await;
    assert!(reader.query("table secret").await.is_err());
}
