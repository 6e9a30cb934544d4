//! Every role may change its own password and settings. The control plane takes back what viewers and members do so;
//! what they were given stays, whatever happens to their tenant.

use super::STACK;
use super::ways::{Holder, Way, holder};
use harness::{Tenant, eventually, wait_until};
use tenancy::{PoolMode, Role};

const WIRE: Way = Way::Wire(PoolMode::Transaction);

/// Has the tenant's next clients find new server connections.
async fn serve_anew(tenant: &Tenant) {
    STACK.end_sessions(tenant).await;
}

async fn served(holder: &Holder) -> bool {
    holder.run(WIRE, "select 1").await.is_ok()
}

#[tokio::test]
async fn a_role_with_a_password_of_its_own_is_let_in_again() {
    let tenant = STACK.create_tenant("locked-out", "eu").await;
    for role in [Role::Member, Role::Viewer] {
        let holder = holder(&tenant, role).await;
        assert_eq!(holder.run(WIRE, "alter role current_user password 'its own'").await, Ok(()));
        serve_anew(&tenant).await;
        wait_until("it is served again", async || served(&holder).await).await;
    }
}

#[tokio::test]
async fn settings_of_its_own_last_no_longer_than_a_look() {
    let tenant = STACK.create_tenant("unsettled", "eu").await;
    tenant.connect().await.batch_execute("create table t (n int)").await.expect("an owner may");
    let member = holder(&tenant, Role::Member).await;
    let setting = "alter role current_user set default_transaction_read_only = on";
    assert_eq!(member.run(WIRE, setting).await, Ok(()));
    eventually("a new session writes again", async || {
        serve_anew(&tenant).await;
        member.run(WIRE, "insert into t values (1)").await.ok()
    })
    .await;
}

#[tokio::test]
async fn suspending_shuts_every_role_and_resuming_opens_each_as_it_was() {
    let tenant = STACK.create_tenant("shut", "eu").await;
    tenant.connect().await.batch_execute("create table t (n int)").await.expect("an owner may");
    let (member, viewer) = (holder(&tenant, Role::Member).await, holder(&tenant, Role::Viewer).await);
    let roles = STACK.roles(&tenant).await;
    STACK.change_state(&tenant.slug, "suspend").await;
    let physical = STACK.physical(&tenant).await;
    let admin = STACK.cluster_admin(&physical.cluster, "postgres").await;
    let open = "select count(*) from pg_roles where rolname = any($1) and rolcanlogin";
    assert_eq!(admin.query_one(open, &[&roles.as_slice()]).await.expect("an answer").get::<_, i64>(0), 0);
    assert!(!served(&member).await && !served(&viewer).await);
    STACK.change_state(&tenant.slug, "resume").await;
    wait_until("both are served again", async || served(&member).await && served(&viewer).await).await;
    assert_eq!(member.run(WIRE, "insert into t values (1)").await, Ok(()));
    assert_eq!(viewer.value("select count(*) from t").await, "1");
    assert_eq!(viewer.run(WIRE, "insert into t values (1)").await, Err("42501".to_owned()));
}

#[tokio::test]
async fn a_purged_tenant_leaves_no_role() {
    let tenant = STACK.create_tenant("role-less", "eu").await;
    drop(holder(&tenant, Role::Viewer).await);
    let roles = STACK.roles(&tenant).await;
    let physical = STACK.physical(&tenant).await;
    STACK.delete_tenant(&tenant.slug).await;
    let admin = STACK.cluster_admin(&physical.cluster, "postgres").await;
    let left = "select count(*) from pg_roles where rolname = any($1)";
    assert_eq!(admin.query_one(left, &[&roles.as_slice()]).await.expect("an answer").get::<_, i64>(0), 0);
}
