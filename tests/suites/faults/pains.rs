//! Pains that other poolers were reported for and that no other suite has a place for.

use crate::{NETWORK, STACK, login};
use harness::wire::WireClient;
use harness::{Direction, End, Fault, Tenant, wait_until};
use std::time::Duration;
use suites::settled::answer_in_the_end;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Clients that wait for a cluster that does not answer.
const WAITING: usize = 8;

async fn tenant(slug: &str, region: &str, plan: &str) -> Tenant {
    STACK.create_tenant_with(serde_json::json!({ "slug": slug, "region": region, "plan": plan })).await
}

/// Sessions that a tenant's database has ever had.
async fn sessions_so_far(tenant: &Tenant) -> i64 {
    let physical = STACK.physical(tenant).await;
    let admin = STACK.cluster_admin(&physical.cluster, "postgres").await;
    let query = "select sessions from pg_stat_database where datname = $1";
    admin.query_one(query, &[&physical.database]).await.expect("an administrator may look").get(0)
}

/// One client more than connections: the others' are handed on, none is closed to be opened again, and nobody is
/// refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_pool_just_above_its_capacity_hands_its_connections_on() {
    let tenant = tenant("just-above", "eu", "four").await;
    let mut clients = JoinSet::new();
    for number in 0..5 {
        let mut client = login(&tenant).await;
        clients.spawn(async move {
            for round in 0..100 {
                let expected = format!("{number}-{round}");
                let sql = format!("begin; select '{expected}' from pg_sleep(0.001); commit");
                assert_eq!(client.value(&sql).await, expected);
            }
        });
    }
    clients.join_all().await;
    // What is reported of sessions comes late. Four connections of the pool, and those that made and saw it.
    let opened = sessions_so_far(&tenant).await;
    assert!(opened <= 20, "{opened} sessions for four connections");
}

/// A cluster that answers nobody is tried by one, not by all who wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_cluster_is_not_stormed_by_those_who_wait() {
    let tenant = tenant("storming", "us", "four").await;
    let network = NETWORK.get().expect("the stack has been started");
    let mut clients = JoinSet::new();
    let mut waiting: Vec<WireClient> = Vec::new();
    for _ in 0..WAITING {
        waiting.push(login(&tenant).await);
    }
    STACK.end_sessions(&tenant).await;
    wait_until("no connection is open", async || network.open() == 0).await;
    network.set(Direction::FromTarget, Fault::After(0, End::BlackHole));
    for mut client in waiting {
        clients.spawn(async move {
            let answer = client.query("select 1").await.expect("an error leaves the client connected");
            let error = answer.iter().find(|message| message.tag == b'E').expect("an error").sqlstate();
            assert!(["08006", "53300"].contains(&&*error), "{error}");
            client
        });
    }
    let labels = ["tenant=\"storming\"", "state=\"opening\""];
    let mut most = 0.0_f64;
    let mut refused = Vec::new();
    while refused.len() < WAITING {
        most = most.max(STACK.metric("tenantry_pool_connections", &labels).await);
        if let Ok(Some(client)) = timeout(Duration::from_millis(20), clients.join_next()).await {
            refused.push(client.expect("refused in words"));
        }
    }
    network.set(Direction::FromTarget, Fault::None);
    network.end_all(End::Close);
    assert_eq!(most, 1.0, "logins at once for a pool that has no connection");
    for mut client in refused {
        assert_eq!(answer_in_the_end(&mut client, "select 'served'").await, "served");
    }
}
