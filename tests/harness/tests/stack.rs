//! The harness itself: stacks side by side, real clients, a control plane that can be killed.

use harness::{Stack, Tool, wait_until};

#[tokio::test(flavor = "multi_thread")]
async fn two_stacks_live_side_by_side() {
    let (first, second) = tokio::join!(Stack::start(), Stack::start());
    let (in_first, in_second) =
        tokio::join!(first.create_tenant("acme", "eu"), second.create_tenant("acme", "us"));
    assert_ne!(in_first.connection_string, in_second.connection_string);
    for tenant in [&in_first, &in_second] {
        let client = tenant.connect().await;
        let row = client.query_one("select current_database()::text", &[]).await.expect("a query works");
        assert!(row.get::<_, String>(0).starts_with("t_"));
    }
    first.stop().await;
    in_second.connect().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_pgbench_and_http_reach_a_tenant() {
    let stack = Stack::start().await;
    let tenant = stack.create_tenant("acme", "eu").await;
    let url = tenant.connection_string.as_str();
    let said = Tool::Psql.run(["-At", "-c", "select 'from psql'", url], "").await.success();
    assert_eq!(said, "from psql\n");
    let said = Tool::Psql.run(["-At", url], "select 6 * 7;\n").await.success();
    assert_eq!(said, "42\n");
    let _ = Tool::Pgbench.run(["-i", "-q", url], "").await.success();
    let said = Tool::Pgbench.run(["-n", "-M", "prepared", "-c", "4", "-t", "20", url], "").await.success();
    assert!(said.contains("number of transactions actually processed: 80/80"), "{said}");
    let (status, answer) = stack.http_query(&tenant, "select $1::text as said", &["over http"]).await;
    assert_eq!((status, &answer["rows"][0]["said"]), (200, &"over http".into()), "{answer}");
    wait_until("pgbench's transactions are counted", async || {
        stack.metric("tenantry_transactions_total", &["tenant=\"acme\""]).await >= 80.0
    })
    .await;
    stack.delete_tenant("acme").await;
    wait_until("the deleted tenant is refused", async || tenant.try_connect().await.is_err()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_process_can_be_killed_and_replaced() {
    let mut stack = Stack::start().await;
    let mut control_plane = stack.control_plane_as_process().await;
    let tenant = stack.create_tenant("acme", "eu").await;
    control_plane.kill();
    assert!(!control_plane.is_running());
    tenant.connect().await;
    let _second = stack.start_control_plane_process().await;
    stack.create_tenant("beta", "us").await;
}
