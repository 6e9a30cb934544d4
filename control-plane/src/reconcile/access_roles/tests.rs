use super::pass;
use crate::operations::standard;
use crate::testing::World;
use tenancy::{Access, RoleName, TenantId, TenantState};

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
    for setting in [
        "alter role current_user set default_transaction_read_only = on".to_owned(),
        format!("alter role current_user in database {database} set default_transaction_read_only = on"),
    ] {
        world.log_in_as(tenant, Access::Write).await.query(&setting).await.unwrap();
        pass(&world.engine).await;
        let mut client = world.log_in_as(tenant, Access::Write).await;
        let shown = client.query("show default_transaction_read_only").await.unwrap();
        assert_eq!(shown, [[Some("off".to_owned())]], "{setting}");
    }
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
