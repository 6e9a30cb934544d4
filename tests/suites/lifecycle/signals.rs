//! The gateway's process and the signals that stop it.

use super::{farewell, login, run};
use harness::wire::WireClient;
use harness::{ChildProcess, Stack, Tenant, eventually, wait_until};
use pgwire::backend::TransactionStatus;
use tenantry::dev::StackOptions;

async fn gateway() -> (Stack, Tenant, ChildProcess) {
    let mut stack = Stack::start_with(StackOptions::ephemeral()).await;
    let tenant = stack.create_tenant("signalled", "eu").await;
    let process = stack.gateway_as_process("").await;
    (stack, tenant, process)
}

async fn is_ready(stack: &Stack) -> bool {
    let answer = reqwest::get(format!("{}/readyz", stack.descriptor().gateway.admin)).await;
    answer.is_ok_and(|answer| answer.status().is_success())
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_transactions_finish_and_ends_with_code_0() {
    let (stack, tenant, mut process) = gateway().await;
    let (mut idle, mut working) = (login(&tenant).await, login(&tenant).await);
    run(&mut working, "begin; create table t (n int)").await;
    process.terminate();
    wait_until("it is no longer ready", async || !is_ready(&stack).await).await;
    assert_eq!(farewell(&mut idle).await, "57P01");
    let refused =
        eventually("new clients are refused", async || WireClient::login(&tenant.config()).await.err()).await;
    assert_eq!(refused.sqlstate(), "57P01", "{}", refused.text());
    assert!(process.is_running());
    assert_eq!(run(&mut working, "insert into t values (1); commit").await, TransactionStatus::Idle);
    assert_eq!(farewell(&mut working).await, "57P01");
    assert_eq!(process.exit_code().await, Some(0), "{}", process.said());
    wait_until("its server connections are closed", async || stack.sessions(&tenant).await == 0).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once_with_a_code_that_says_so() {
    let (stack, tenant, mut process) = gateway().await;
    let mut working = login(&tenant).await;
    run(&mut working, "begin").await;
    process.terminate();
    wait_until("it drains", async || !is_ready(&stack).await).await;
    process.terminate();
    assert_eq!(process.exit_code().await, Some(130));
    assert!(process.said().contains("told to stop a second time"), "{}", process.said());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_drain_is_code_0_too() {
    let (stack, tenant, mut process) = gateway().await;
    let mut stubborn = login(&tenant).await;
    run(&mut stubborn, "begin").await;
    process.terminate();
    // The stack's gateways drain for three seconds.
    assert_eq!(farewell(&mut stubborn).await, "57P01");
    assert_eq!(process.exit_code().await, Some(0), "{}", process.said());
    assert!(process.said().contains("cut off"), "{}", process.said());
    stack.stop().await;
}
