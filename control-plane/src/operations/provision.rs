//! Gives a tenant its own database on a cluster of its region.
//!
//! The tenant's row, its slug and its first credentials are reserved by the request. Its names are in the ledger
//! before anything is made under them, and it becomes active last: until then nobody is let in, and
//! whatever fails is taken back whole.

use super::context::StepContext;
use super::error::StepError;
use super::step::Step;
use super::target::Target;
use crate::access_roles;
use crate::postgres::{database, login, marker, privileges, role};
use crate::schedule::placement::{self, Candidate, Wish};
use crate::secrets;
use catalog_schema::{CatalogError, ClusterDetail, Constraint, NameKind, NewPlacement, RoleSettings};
use serde_json::{Value, json};
use tenancy::{ClusterId, TenantState};

/// Other placements may fill the chosen cluster first; then it is chosen again.
const PLACE_ATTEMPTS_MAX: u32 = 3;

/// In order.
pub(super) static STEPS: [Step; 9] = [
    Step::new("reserve", "reserve the name in the catalog", |cx| Box::pin(reserve(cx)))
        .begun_by_request()
        .undo(|cx| Box::pin(release(cx))),
    Step::new("place", "choose a cluster and opaque names that were never used", |cx| Box::pin(place(cx)))
        .undo(|cx| Box::pin(unplace(cx))),
    Step::new(
        "create-role",
        "create the role that owns the database, and those that write and read, with keys in place of passwords",
        |cx| Box::pin(create_roles(cx)),
    )
    .undo(|cx| Box::pin(drop_roles(cx))),
    Step::new("create-database", "create the database from its template", |cx| Box::pin(create_database(cx)))
        .undo(|cx| Box::pin(drop_database(cx))),
    Step::new("record-oid", "record the database's oid in the ledger", |cx| Box::pin(record_oid(cx))),
    Step::new("set-privileges", "shut the database to everybody but its roles, and grant them what they stand for", |cx| {
        Box::pin(set_privileges(cx))
    }),
    Step::new("write-marker", "mark the database as the tenant's", |cx| Box::pin(write_marker(cx))),
    Step::new("check-login", "log in as the gateway will, as each role", |cx| Box::pin(check_login(cx))),
    // Once it is active people may have written to it, and a lost answer does not tell whether it is.
    Step::new("activate", "let the tenant in", |cx| Box::pin(activate(cx))).point_of_no_return(),
];

async fn reserve(cx: &StepContext) -> Result<Value, StepError> {
    let tenant = cx.tenant_record().await?;
    Ok(json!({ "slug": tenant.slug }))
}

async fn release(cx: &StepContext) -> Result<(), StepError> {
    let evidence = json!({ "reason": "provisioning was undone", "operation": cx.operation() });
    let mut tx = cx.fenced().await?;
    tx.tenant_bury(cx.tenant(), &evidence).await?;
    tx.commit().await?;
    Ok(())
}

async fn place(cx: &StepContext) -> Result<Value, StepError> {
    if let Some(done) = cx.placement().await? {
        return Ok(cx
            .output("place")
            .unwrap_or_else(|| json!({ "cluster": done.cluster, "database": done.database })));
    }
    let mut tried = 0;
    loop {
        tried += 1;
        match place_once(cx).await {
            Err(StepError::Catalog(CatalogError::Refused { constraint }))
                if tried < PLACE_ATTEMPTS_MAX && filled_meanwhile(&constraint) => {}
            outcome => return outcome,
        }
    }
}

fn filled_meanwhile(constraint: &Constraint) -> bool {
    matches!(constraint, Constraint::ClusterFull | Constraint::ClusterNotActive)
}

async fn place_once(cx: &StepContext) -> Result<Value, StepError> {
    let tenant = cx.tenant_record().await?;
    let clusters = cx.catalog().clusters_in(&tenant.allowed_regions).await?;
    let candidates: Vec<Candidate> = clusters.iter().map(candidate).collect();
    let wish = Wish { region: &tenant.region, allowed_regions: &tenant.allowed_regions };
    let choice = placement::choose(&candidates, wish)?;
    let placed = reserve_names(cx, choice.cluster).await?;
    let cluster = clusters.iter().find(|detail| detail.cluster.id == choice.cluster).map(|d| &d.cluster.name);
    Ok(json!({
        "cluster": cluster, "database": placed.database, "role": placed.role, "considered": choice.verdicts,
    }))
}

/// What placement needs to know of a cluster.
pub(crate) fn candidate(detail: &ClusterDetail) -> Candidate {
    Candidate {
        id: detail.cluster.id,
        name: detail.cluster.name.clone(),
        region: detail.cluster.region.clone(),
        state: detail.cluster.state,
        capacity: detail.capacity,
        placed: detail.placed,
    }
}

async fn reserve_names(cx: &StepContext, cluster: ClusterId) -> Result<NewPlacement, StepError> {
    let role = access_roles::opaque_name();
    let database = role.as_str().parse().expect("what names a role names a database too");
    let new = NewPlacement { tenant: cx.tenant(), cluster, database, role, keys: secrets::role_keys()? };
    let mut tx = cx.fenced().await?;
    tx.placement_create(&new).await?;
    tx.commit().await?;
    Ok(new)
}

/// What was made under the names is undone by now; names that nothing was made under are given back here.
async fn unplace(cx: &StepContext) -> Result<(), StepError> {
    let Some(placement) = cx.placement().await? else { return Ok(()) };
    let mut tx = cx.fenced().await?;
    tx.physical_name_dropped(cx.tenant(), NameKind::Database, placement.database.as_str()).await?;
    for role in access_roles::names(&placement) {
        tx.physical_name_dropped(cx.tenant(), NameKind::Role, role.as_str()).await?;
    }
    tx.placement_delete(cx.tenant()).await?;
    tx.commit().await?;
    Ok(())
}

/// The names of the roles beside the owner's are reserved here and not with the others: an older release may have
/// done the step before.
async fn create_roles(cx: &StepContext) -> Result<Value, StepError> {
    let target = Target::expect(cx).await?;
    let mut tx = cx.fenced().await?;
    access_roles::reserve(&mut tx, &target.placement).await?;
    tx.commit().await?;

    let target = Target::expect(cx).await?;
    let verifier = secrets::role_verifier(&target.owner_login()?.keys);
    let ddl = cx.change_cluster(&target.endpoint).await?;
    let settings = cx.catalog().role_settings_wanted(cx.tenant()).await?;
    let oid = role::ensure(&ddl, &target.placement.role, cx.tenant(), &verifier).await?;
    role::set_settings(&ddl, &target.placement.role, &RoleSettings::default(), &settings).await?;
    let others = access_roles::make(&ddl, &target.placement, &settings).await?;
    ddl.release().await;

    let mut tx = cx.fenced().await?;
    tx.role_created(cx.tenant(), oid).await?;
    for (access, oid) in others {
        tx.access_role_created(cx.tenant(), access, oid).await?;
    }
    if settings != RoleSettings::default() {
        tx.role_settings_set(cx.tenant(), &settings, "provisioned").await?;
    }
    tx.commit().await?;
    Ok(json!({ "oid": oid }))
}

async fn drop_roles(cx: &StepContext) -> Result<(), StepError> {
    let Some(target) = Target::find(cx).await? else { return Ok(()) };
    target.drop_roles(cx).await.map(drop)
}

async fn create_database(cx: &StepContext) -> Result<Value, StepError> {
    let target = Target::expect(cx).await?;
    let ddl = cx.change_cluster(&target.endpoint).await?;
    let oid = database::ensure(&ddl, &target.owned()).await?;
    ddl.release().await;
    Ok(json!({ "oid": oid }))
}

async fn drop_database(cx: &StepContext) -> Result<(), StepError> {
    let Some(target) = Target::find(cx).await? else { return Ok(()) };
    target.drop_database(cx).await.map(drop)
}

async fn record_oid(cx: &StepContext) -> Result<Value, StepError> {
    let target = Target::expect(cx).await?;
    let ddl = cx.change_cluster(&target.endpoint).await?;
    let oid = target.database_on_record(cx, &ddl).await?.ok_or(StepError::Missing("the database"))?;
    ddl.release().await;
    Ok(json!({ "oid": oid }))
}

/// Privileges on a database are a row of a shared catalog, hence the lock.
async fn set_privileges(cx: &StepContext) -> Result<Value, StepError> {
    let target = Target::expect(cx).await?;
    let ddl = cx.change_cluster(&target.endpoint).await?;
    let inside = cx.enter(&target.endpoint, &target.placement.database).await?;
    privileges::apply(&inside, &target.placement.database, &target.placement.role).await?;
    access_roles::grant(&inside, &target.placement).await?;
    ddl.release().await;
    Ok(Value::Null)
}

async fn write_marker(cx: &StepContext) -> Result<Value, StepError> {
    let target = Target::expect(cx).await?;
    let inside = cx.enter(&target.endpoint, &target.placement.database).await?;
    marker::write(&inside, cx.tenant()).await?;
    privileges::allow_identity_check(&inside, &target.placement.role).await?;
    access_roles::allow_identity_check(&inside, &target.placement).await?;
    Ok(Value::Null)
}

async fn check_login(cx: &StepContext) -> Result<Value, StepError> {
    let target = Target::expect(cx).await?;
    login::check(&target.endpoint, &target.placement.database, &target.owner_login()?, cx.tenant()).await?;
    access_roles::check(&target.endpoint, &target.placement).await?;
    let mut tx = cx.fenced().await?;
    tx.access_roles_ready(cx.tenant()).await?;
    tx.commit().await?;
    Ok(Value::Null)
}

async fn activate(cx: &StepContext) -> Result<Value, StepError> {
    let mut tx = cx.fenced().await?;
    let tenant = tx.tenant_set_state(cx.tenant(), TenantState::Active).await?;
    tx.commit().await?;
    Ok(json!({ "generation": tenant.generation }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::registry::OperationKind;
    use crate::operations::standard::{self, Scenario};
    use crate::testing::World;
    use tenancy::{Access, TenantId};

    struct Provision;

    impl Scenario for Provision {
        const KIND: OperationKind = OperationKind::Provision;
        const FROM: Option<TenantState> = None;
        const REQUESTED: TenantState = TenantState::Provisioning;

        async fn assert_done(world: &World, tenant: TenantId) {
            let record = world.catalog.tenant_get(tenant).await.unwrap().unwrap();
            assert_eq!(record.state, TenantState::Active);
            let placement = world.catalog.placement_get(tenant).await.unwrap().unwrap();
            let row = world
                .admin
                .query_one("select oid from pg_database where datname = $1", &[&placement.database.as_str()])
                .await
                .unwrap();
            assert_eq!(placement.database_oid, Some(row.get(0)));
            let names = world.catalog.physical_names(tenant).await.unwrap();
            assert_eq!(names.len(), 4, "one database and three roles, however often it was tried");
            assert!(names.iter().all(|name| name.oid.is_some() && name.dropped_at.is_none()), "{names:?}");
            let route = world.catalog.route_by_id(tenant).await.unwrap().unwrap().placement.unwrap();
            for access in Access::ALL {
                assert!(route.login(access).is_some(), "gateways are told of the role for {access}");
                world.log_in_as(tenant, access).await;
            }
        }

        async fn assert_undone(world: &World, tenant: TenantId) {
            let record = world.catalog.tenant_get(tenant).await.unwrap().unwrap();
            assert_eq!(record.state, TenantState::Deleted);
            assert!(world.catalog.placement_get(tenant).await.unwrap().is_none());
            for name in world.catalog.physical_names(tenant).await.unwrap() {
                assert!(name.dropped_at.is_some() && !world.cluster_has(&name.name).await, "{name:?}");
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn unwinds_after_each_step() {
        standard::unwinds_after_each_step::<Provision>().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn repeats_each_step() {
        standard::repeats_each_step::<Provision>().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn resumes_after_crash_at_each_step() {
        standard::resumes_after_crash_at_each_step::<Provision>().await;
    }
}
