//! Servers without room, and trouble that is one tenant's alone.

use crate::{HERE, PATIENT_MS, World, all_ask, login, logins, refusal, run};
use harness::wire::WireClient;
use harness::{Tenant, eventually};
use tenantry::dev::{ClusterSpec, StackOptions};
use tokio_postgres::Client;

async fn world(patience_ms: u64) -> World {
    World::start(move |gateway| {
        gateway.pool.outage_patience_ms = patience_ms;
        gateway.pool.retry_pause_max_ms = 500;
    })
    .await
}

async fn sqlstate(client: &mut WireClient) -> Option<String> {
    let answer = client.query("select 1").await.expect("an error leaves the client connected");
    refusal(&answer).map(harness::wire::Message::sqlstate)
}

async fn is_served(client: &mut WireClient) {
    eventually("it is served", async || sqlstate(client).await.is_none().then_some(())).await;
}

/// Somebody else takes every connection that the server has for us.
async fn fill(world: &World) -> Vec<Client> {
    let first = world.stack.cluster_admin(HERE, "postgres").await;
    let count = "select current_setting('max_connections')::int8
        - current_setting('superuser_reserved_connections')::int8
        - (select count(*) from pg_stat_activity where backend_type = 'client backend')";
    let free: i64 = first.query_one(count, &[]).await.expect("an administrator may look").get(0);
    let mut taken = vec![first];
    for _ in 0..free {
        taken.push(world.stack.cluster_admin(HERE, "postgres").await);
    }
    taken
}

/// Tenants share what they have; who has nothing waits, hears 53300, and is served when there is room again.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_room_serves_those_who_have_connections() {
    let mut small = ClusterSpec::new(HERE, "eu");
    small.connection_budget = 10;
    let options =
        StackOptions::ephemeral().clusters(vec![small, ClusterSpec::new("us-1", "us")]).gateway(|gateway| {
            gateway.pool.outage_patience_ms = 1_000;
            gateway.pool.retry_pause_max_ms = 500;
        });
    let world = World::start_with(options).await;
    let (rich, poor) = (world.tenant("rich", "three").await, world.tenant("poor", "three").await);
    let (mut rich_clients, mut poor_client) = (logins(&rich, 8).await, login(&poor).await);
    rich_clients = all_ask(rich_clients).join_all().await;
    world.stack.end_sessions(&poor).await;
    let taken = fill(&world).await;

    assert_eq!(sqlstate(&mut poor_client).await.as_deref(), Some("53300"));
    world.breaker_is(&[2.0, 3.0]).await;
    for _ in 0..5 {
        rich_clients = all_ask(rich_clients).join_all().await;
    }
    drop(taken);
    is_served(&mut poor_client).await;
    drop((rich_clients, poor_client));
    world.ends_well().await;
}

/// Something of the tenant's own that keeps it out: how to do it, how to undo it, and what it hears.
struct Trouble {
    name: &'static str,
    begin: fn(&str, &str) -> String,
    end: fn(&str, &str) -> String,
    heard: &'static str,
}

const TROUBLES: [Trouble; 3] = [
    Trouble {
        name: "its database takes no connections",
        begin: |database, _| format!("alter database {database} allow_connections false"),
        end: |database, _| format!("alter database {database} allow_connections true"),
        heard: "08006",
    },
    Trouble {
        name: "its limit is spent",
        begin: |database, _| format!("alter database {database} connection limit 0"),
        end: |database, _| format!("alter database {database} connection limit -1"),
        heard: "53300",
    },
    Trouble {
        name: "its role may not log in",
        begin: |_, role| format!("alter role {role} nologin"),
        end: |_, role| format!("alter role {role} login"),
        heard: "08006",
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_one_tenant_refuses_that_one_alone() {
    let world = world(500).await;
    let (troubled, neighbour) =
        (world.tenant("troubled", "three").await, world.tenant("sound", "three").await);
    let (mut client, mut sound) = (login(&troubled).await, login(&neighbour).await);
    let physical = world.stack.physical(&troubled).await;
    let admin = world.stack.cluster_admin(HERE, "postgres").await;
    for trouble in TROUBLES {
        is_served(&mut client).await;
        let begin = (trouble.begin)(&physical.database, &physical.role);
        admin.batch_execute(&begin).await.expect("an administrator may");
        world.stack.end_sessions(&troubled).await;
        for _ in 0..3 {
            assert_eq!(sqlstate(&mut client).await.as_deref(), Some(trouble.heard), "{}", trouble.name);
            // A new connection, so that the breaker is asked.
            world.stack.end_sessions(&neighbour).await;
            assert_eq!(sound.value("select 'sound'").await, "sound", "{}", trouble.name);
            assert_eq!(world.breaker().await, 0.0, "{}", trouble.name);
        }
        let end = (trouble.end)(&physical.database, &physical.role);
        admin.batch_execute(&end).await.expect("an administrator may");
    }
    is_served(&mut client).await;
    drop((client, sound));
    world.ends_well().await;
}

/// A limit that is spent for a moment costs a moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_trouble_passes_has_only_waited() {
    let world = world(PATIENT_MS.into()).await;
    let tenant: Tenant = world.tenant("spent", "three").await;
    let mut clients = logins(&tenant, 4).await;
    let physical = world.stack.physical(&tenant).await;
    let admin = world.stack.cluster_admin(HERE, "postgres").await;
    let limit = async |limit: i32| {
        let alter = format!("alter database {} connection limit {limit}", physical.database);
        admin.batch_execute(&alter).await.expect("an administrator may");
    };
    for client in &mut clients {
        run(client, "select 1").await;
    }
    limit(0).await;
    world.stack.end_sessions(&tenant).await;
    let failed = world.logins("failed").await;
    let asking = all_ask(clients);
    eventually("a login has failed", async || (world.logins("failed").await > failed).then_some(())).await;
    world.waiting(&tenant, 4.0).await;
    limit(-1).await;
    drop(asking.join_all().await);
    world.ends_well().await;
}
