//! Both HTTP surfaces under a fuzzer that has read their OpenAPI documents: no answer is a failure that nobody designed, and
//! each is as described. `tests/drivers/fuzz-http` runs longer by hand.

use harness::{Stack, run_within};
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;

/// What `tests/drivers/fuzz-http` ends with when the fuzzer is not here.
const ABSENT: i32 = 77;

/// Seconds that a surface is fuzzed for, unless it is said otherwise.
const SECONDS: u64 = 60;

/// What it may take on top of them on a loaded machine: to start, to end a request under way, which may take a minute, and to
/// say what it has found.
const AROUND: Duration = Duration::from_secs(240);

async fn fuzz(url: &str, token: &str) {
    let drivers = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("drivers");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("drivers");
    let seconds = std::env::var("TENANTRY_FUZZ_SECONDS")
        .map_or(SECONDS, |seconds| seconds.parse().expect("TENANTRY_FUZZ_SECONDS is a number of seconds"));
    let mut command = Command::new(drivers.join("fuzz-http"));
    command.args([url, token, &seconds.to_string()]).env("TENANTRY_DRIVERS_DIR", target);
    let output = run_within(command, "", Duration::from_secs(seconds) + AROUND).await;
    if output.code != Some(ABSENT) {
        let _said = output.success();
        return;
    }
    let on_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!on_ci, "nothing was fuzzed: {}", output.stderr);
    // Not by eprintln!, which is hidden when the test succeeds.
    let _ = writeln!(std::io::stderr(), "SKIPPED: nothing was fuzzed: {}", output.stderr.trim_end());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_plane_has_no_answer_that_nobody_designed() {
    let stack = Stack::start().await;
    stack.create_tenant("fuzzed", "eu").await;
    let (url, token) = (&stack.descriptor().control_plane, &stack.descriptor().operator_token);
    fuzz(url, token).await;
    stack.must(reqwest::Method::GET, "/v1/tenants", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_has_the_gateway() {
    let stack = Stack::start().await;
    let tenant = stack.create_tenant("fuzzed", "eu").await;
    fuzz(&stack.descriptor().gateway.http, &tenant.api_key).await;
    assert_eq!(stack.http_query(&tenant, "select 1 as n", &[]).await.0, 200);
    assert_eq!(stack.metric("tenantry_gateway_out_of_sync_total", &[]).await, 0.0);
}
