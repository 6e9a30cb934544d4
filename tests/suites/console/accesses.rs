//! A tenant's people have roles, and connections of their own: what operators see of them, and what reaches them all.

use super::{STACK, admin, console, row, run, show, tenant};
use harness::wire::WireClient;
use harness::{Tenant, wait_until};
use suites::people::with_role;
use tenancy::Role;

/// Somebody of each role that has connections of its own, with a transaction open.
async fn at_work(tenant: &Tenant) -> Vec<WireClient> {
    let mut clients = Vec::new();
    for role in [Role::Owner, Role::Member, Role::Viewer] {
        let somebody = with_role(&STACK, tenant, role).await;
        let mut client = WireClient::login(&somebody.config()).await.expect("let in");
        run(&mut client, "begin").await;
        clients.push(client);
    }
    clients
}

/// Users, clients and connections in use of each of the tenant's rows.
async fn pools(client: &mut WireClient, slug: &str) -> Vec<[String; 3]> {
    let all = show(client, "SHOW POOLS").await;
    let of_tenant = all.into_iter().filter(|row| row["database"].as_deref() == Some(slug));
    of_tenant
        .map(|row| ["user", "cl_active", "sv_active"].map(|name| row[name].clone().unwrap_or_default()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_a_row_for_each_access() {
    let tenant = tenant("rows-of-roles", 5).await;
    let _clients = at_work(&tenant).await;
    let mut operator = console(&admin()).await;
    let expected = ["owner", "write", "read"].map(|access| [access, "1", "1"].map(str::to_owned));
    wait_until("those who only asked have left", async || {
        pools(&mut operator, "rows-of-roles").await == expected
    })
    .await;
    let mut operator = console(&admin()).await;
    let sum = row(&mut operator, "SHOW TENANTS", "tenant", "rows-of-roles").await.expect("a row");
    assert_eq!((sum["active"].as_deref(), sum["clients"].as_deref()), (Some("3"), Some("3")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_holds_back_every_role() {
    let tenant = tenant("paused-roles", 5).await;
    let mut clients = at_work(&tenant).await;
    let pausing = tokio::spawn(async {
        let mut operator = console(&admin()).await;
        run(&mut operator, "PAUSE \"paused-roles\"").await;
        operator
    });
    for client in &mut clients {
        run(client, "commit").await;
    }
    let mut operator = pausing.await.expect("it takes hold");
    assert!(
        row(&mut operator, "SHOW SERVERS", "database", "paused-roles").await.is_none(),
        "a server is left"
    );
    let waiting: Vec<_> = clients
        .into_iter()
        .map(|mut client| tokio::spawn(async move { client.query("select 1").await.map(|_answer| client) }))
        .collect();
    wait_until("all wait", async || {
        let mut operator = console(&admin()).await;
        let sum = row(&mut operator, "SHOW TENANTS", "tenant", "paused-roles").await.expect("a row");
        sum["held_back"].as_deref() == Some("3")
    })
    .await;
    run(&mut operator, "RESUME \"paused-roles\"").await;
    for client in waiting {
        client.await.expect("no panic").expect("it is served after all");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_ends_every_role() {
    let tenant = tenant("killed-roles", 5).await;
    let clients = at_work(&tenant).await;
    let mut operator = console(&admin()).await;
    run(&mut operator, "KILL \"killed-roles\"").await;
    for mut client in clients {
        let said = client.until_end().await.unwrap_or_default();
        assert!(said.iter().any(|message| message.tag == b'E' && message.sqlstate() == "57P01"), "{said:?}");
    }
    assert!(row(&mut operator, "SHOW SERVERS", "database", "killed-roles").await.is_none());
    run(&mut operator, "RESUME \"killed-roles\"").await;
}
