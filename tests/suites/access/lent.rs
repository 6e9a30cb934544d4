//! What reaches a viewer all the same: what an owner lends, and what PostgreSQL lets every session do. Each is said in
//! `docs/identity.md`.

use super::ways::{Way, holder};
use super::{INSUFFICIENT_PRIVILEGE, STACK};
use tenancy::{PoolMode, Role};

const WIRE: Way = Way::Wire(PoolMode::Transaction);

/// A function that runs with its owner's rights is everybody's, as PostgreSQL has it, until the owner says otherwise.
#[tokio::test]
async fn an_owner_lends_what_a_function_may_and_takes_it_back() {
    let tenant = STACK.create_tenant("lending", "eu").await;
    let owner = tenant.connect().await;
    let schema = "create table visits (n int);
        create function visit() returns void language sql security definer as 'insert into visits values (1)'";
    owner.batch_execute(schema).await.expect("an owner may");
    let viewer = holder(&tenant, Role::Viewer).await;
    assert_eq!(viewer.run(WIRE, "select visit()").await, Ok(()));
    assert_eq!(viewer.value("select count(*) from visits").await, "1");
    owner.batch_execute("revoke execute on function visit() from public").await.expect("an owner may");
    assert_eq!(viewer.run(WIRE, "select visit()").await, Err(INSUFFICIENT_PRIVILEGE.to_owned()));
}

#[tokio::test]
async fn an_owner_hides_a_table_from_viewers_and_shows_it_again() {
    let tenant = STACK.create_tenant("hiding", "eu").await;
    let [_, _, reader] = STACK.roles(&tenant).await;
    let owner = tenant.connect().await;
    let viewer = holder(&tenant, Role::Viewer).await;
    let hide = format!("create table salaries (n int); revoke select on salaries from {reader}");
    owner.batch_execute(&hide).await.expect("an owner may");
    assert_eq!(viewer.run(WIRE, "table salaries").await, Err(INSUFFICIENT_PRIVILEGE.to_owned()));
    owner.batch_execute(&format!("grant select on salaries to {reader}")).await.expect("an owner may");
    assert_eq!(viewer.run(WIRE, "table salaries").await, Ok(()));
}

/// The owner's policies hold for members and viewers; PostgreSQL exempts only the table's owner.
#[tokio::test]
async fn row_security_holds_for_those_who_do_not_own_the_table() {
    let tenant = STACK.create_tenant("policies", "eu").await;
    let schema = "create table notes (n int, is_public bool); insert into notes values (1, true), (2, false);
        alter table notes enable row level security;
        create policy p on notes for select using (is_public)";
    let owner = tenant.connect().await;
    owner.batch_execute(schema).await.expect("an owner may");
    for role in [Role::Viewer, Role::Member] {
        assert_eq!(holder(&tenant, role).await.value("select count(*) from notes").await, "1", "{role}");
    }
    let all: i64 = owner.query_one("select count(*) from notes", &[]).await.expect("rows").get(0);
    assert_eq!(all, 2);
}

/// `DROP OWNED` takes a role out of the default privileges that others have given it, without asking them. A viewer can so
/// keep viewers from tables that are made later, until the owner says again that they may. It never gets at more, and
/// members go on.
#[tokio::test]
async fn a_viewer_can_shut_viewers_out_of_later_tables_and_the_owner_lets_them_in_again() {
    let tenant = STACK.create_tenant("dropping", "eu").await;
    let [_, _, reader] = STACK.roles(&tenant).await;
    let owner = tenant.connect().await;
    owner.batch_execute("create table before ()").await.expect("an owner may");
    let (viewer, member) = (holder(&tenant, Role::Viewer).await, holder(&tenant, Role::Member).await);
    assert_eq!(viewer.run(WIRE, "drop owned by current_user").await, Ok(()));
    assert_eq!(viewer.run(WIRE, "table before").await, Ok(()), "what was granted on a table stays");
    owner.batch_execute("create table after ()").await.expect("an owner may");
    assert_eq!(viewer.run(WIRE, "table after").await, Err(INSUFFICIENT_PRIVILEGE.to_owned()));
    assert_eq!(member.run(WIRE, "table after").await, Ok(()));
    let repair = format!(
        "alter default privileges grant usage on schemas to {reader};
         alter default privileges grant select on tables to {reader};
         alter default privileges grant select on sequences to {reader};
         grant select on all tables in schema public to {reader}; create table latest ()"
    );
    owner.batch_execute(&repair).await.expect("an owner may");
    for table in ["after", "latest"] {
        assert_eq!(viewer.run(WIRE, &format!("table {table}")).await, Ok(()), "{table}");
    }
}
