//! No role reaches another's rights, and no tenant's role another tenant's database.

use super::STACK;
use super::ways::{Way, holder};
use harness::{Tenant, eventually};
use serde_json::json;
use suites::plans;
use tenancy::{PoolMode, Role};
use tokio_postgres::{Config, NoTls};

/// The role that sessions of each role are logged in as.
async fn served_as(tenant: &Tenant) -> [(Role, String); 4] {
    let [owner, write, read] = STACK.roles(tenant).await;
    [(Role::Owner, owner.clone()), (Role::Admin, owner), (Role::Member, write), (Role::Viewer, read)]
}

/// One server connection in all: whoever comes next would get the last one's, if anybody got another role's.
#[tokio::test]
async fn nobody_is_served_by_a_connection_of_another_role() {
    plans::add(&STACK, "lone", plans::limits(1, 100, 100, 30_000)).await;
    let tenant =
        STACK.create_tenant_with(json!({ "slug": "taking-turns", "region": "eu", "plan": "lone" })).await;
    let mut clients = Vec::new();
    for (role, login) in served_as(&tenant).await {
        let holder = holder(&tenant, role).await;
        clients.push((role, login, holder.connect(PoolMode::Transaction).await, holder));
    }
    for round in 0..5 {
        for (role, login, client, holder) in &clients {
            let row = client.query_one("select current_user::text, session_user::text", &[]).await;
            let row = row.unwrap_or_else(|error| panic!("{role}: {error}"));
            assert_eq!(
                [row.get::<_, String>(0), row.get(1)],
                [login.clone(), login.clone()],
                "{role}, round {round}"
            );
            let other_role = format!("select 1 / (current_user = '{login}')::int");
            for way in [Way::Http, Way::Wire(PoolMode::Session)] {
                assert_eq!(holder.run(way, &other_role).await, Ok(()), "{role}, {way:?}");
            }
        }
    }
}

#[tokio::test]
async fn no_role_is_a_member_of_another_or_of_any_that_reads_everything() {
    let (one, other) = (STACK.create_tenant("apart", "eu").await, STACK.create_tenant("asunder", "eu").await);
    let roles = [STACK.roles(&one).await, STACK.roles(&other).await].concat();
    let physical = STACK.physical(&one).await;
    let admin = STACK.cluster_admin(&physical.cluster, "postgres").await;
    let sql = "select count(*) from pg_auth_members m
        where pg_get_userbyid(m.member) = any($1) or pg_get_userbyid(m.roleid) = any($1)";
    assert_eq!(admin.query_one(sql, &[&roles]).await.expect("an answer").get::<_, i64>(0), 0);
    let sql = "select count(*) from pg_roles where rolname = any($1)
        and (rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls)";
    assert_eq!(admin.query_one(sql, &[&roles]).await.expect("an answer").get::<_, i64>(0), 0);
    let inside = STACK.inside(&one).await;
    let lent =
        inside.query_one("select count(*) from pg_proc where prosecdef", &[]).await.expect("an answer");
    assert_eq!(lent.get::<_, i64>(0), 0, "nothing of ours runs with another's rights");
}

/// Each role is given a password for this, as it may give itself, and goes straight to the cluster.
#[tokio::test]
async fn no_role_gets_into_another_tenants_database() {
    let (one, other) =
        (STACK.create_tenant("at-home", "eu").await, STACK.create_tenant("next-door", "eu").await);
    let (home, foreign) = (STACK.physical(&one).await, STACK.physical(&other).await);
    let foreign_cluster = STACK.cluster_address(&foreign.cluster);
    assert_eq!(home.cluster, foreign.cluster);
    for (role, login) in served_as(&one).await {
        let holder = holder(&one, role).await;
        let mut config = Config::new();
        config
            .host(foreign_cluster.ip().to_string())
            .port(foreign_cluster.port())
            .user(&login)
            .password("its own");
        // The control plane takes the password back; it may do so between two logins.
        eventually("the role is refused though its password is right", async || {
            holder
                .run(Way::Wire(PoolMode::Session), "alter role current_user password 'its own'")
                .await
                .ok()?;
            config.clone().dbname(&home.database).connect(NoTls).await.ok().map(drop)?;
            let refused = config.clone().dbname(&foreign.database).connect(NoTls).await.err();
            let code =
                refused.unwrap_or_else(|| panic!("{role} got in")).code().map(|code| code.code().to_owned());
            (code.as_deref() == Some("42501")).then_some(())
        })
        .await;
    }
}
