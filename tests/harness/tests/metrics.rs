//! The metrics are what Prometheus's own checker approves of.

use harness::{Stack, run};
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn promtool_finds_nothing_to_complain_of() {
    if Command::new("promtool").arg("--version").output().await.is_err() {
        assert!(std::env::var_os("CI").is_none(), "promtool is missing, and CI skips nothing");
        eprintln!("promtool is not installed: the metrics' names are not checked");
        return;
    }
    let stack = Stack::start().await;
    let tenant = stack.create_tenant("acme", "eu").await;
    tenant.connect().await.simple_query("select 1").await.expect("a query works");
    let mut check = Command::new("promtool");
    check.args(["check", "metrics"]);
    let output = run(check, &stack.metrics().await).await;
    assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
}
