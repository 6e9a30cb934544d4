//! Cancel requests that reach another gateway than the one whose client they are for, as behind a load balancer.

use harness::wire::{Message, WireClient};
use harness::{Stack, Tenant, eventually, wait_until};
use pgwire::CancelKey;
use pgwire::backend::{backend_key_data, tag};
use pgwire::frontend::write;
use tenantry::dev::StackOptions;
use tokio_postgres::Config;

/// Cancels in each direction.
const CANCELS: usize = 20;

/// A connection string that leads to a certain gateway.
fn through(tenant: &Tenant, port: u16) -> Config {
    let usual = tenant.config();
    let mut config = Config::new();
    config.host("127.0.0.1").port(port).user("app").dbname(&tenant.slug);
    config.password(usual.get_password().expect("a password"));
    config
}

async fn login(config: &Config) -> (WireClient, CancelKey) {
    let mut client = WireClient::dial(config).await.expect("the gateway listens");
    let whose = [("user", "app"), ("database", config.get_dbname().expect("a database"))];
    client.startup(&whose).await.expect("sent");
    client.authenticate(config.get_password().expect("a password")).await.expect("let in");
    let greeting = client.until_ready().await.expect("a greeting");
    let key = greeting.iter().find(|message| message.tag == tag::BACKEND_KEY_DATA).expect("a key");
    (client, backend_key_data(&key.body).expect("a key"))
}

async fn cancel(config: &Config, key: CancelKey) {
    let mut request = Vec::new();
    write::cancel_request(&mut request, key);
    let mut client = WireClient::dial(config).await.expect("the gateway listens");
    client.send(&request).await.expect("sent");
    let answer = client.until_end().await.expect("the end");
    assert!(answer.is_empty(), "a cancel request is not answered: {answer:?}");
}

async fn begin_to_sleep(client: &mut WireClient) {
    let mut query = Vec::new();
    write::query(&mut query, b"select pg_sleep(600)").expect("it fits");
    client.send(&query).await.expect("sent");
}

fn was_cancelled(answer: &[Message]) -> bool {
    answer.iter().any(|message| message.tag == tag::ERROR_RESPONSE && message.sqlstate() == "57014")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_finds_its_gateway_from_any_other() {
    let mut stack = Stack::start_with(StackOptions::ephemeral()).await;
    let tenant = stack.create_tenant("replicated", "eu").await;
    let other = stack.start_another_gateway().await.expect("a second gateway");
    let ports = [stack.addresses().pg.port(), other.pg.port()];
    let configs = ports.map(|port| through(&tenant, port));
    // Each has learnt the other's number when a cancel gets through.
    for (home, entry) in [(0, 1), (1, 0)] {
        let (mut client, key) = eventually("the gateway serves", async || {
            WireClient::login(&configs[home]).await.ok()?;
            Some(login(&configs[home]).await)
        })
        .await;
        let mut asleep = tokio::spawn(async move {
            begin_to_sleep(&mut client).await;
            client.until_ready().await.expect("an answer")
        });
        let answer = eventually("a cancel gets through", async || {
            cancel(&configs[entry], key).await;
            tokio::select! {
                answer = &mut asleep => Some(answer.expect("no panic")),
                () = tokio::time::sleep(std::time::Duration::from_millis(50)) => None,
            }
        })
        .await;
        assert!(was_cancelled(&answer), "{answer:?}");
    }
    for turn in 0..CANCELS {
        let (home, entry) = (turn % 2, (turn + 1) % 2);
        assert_one_is_enough(&stack, &tenant, &configs[home], &configs[entry]).await;
    }
    let passed_on = stack.metric("tenantry_gateway_cancels_total", &["result=\"gateway\""]).await;
    assert!(passed_on >= 10.0, "only {passed_on} were passed on by the first gateway");
    stack.stop().await;
}

/// One request with the right key, sent when the statement runs, is enough; those with wrong ones do nothing.
async fn assert_one_is_enough(stack: &Stack, tenant: &Tenant, home: &Config, entry: &Config) {
    let (mut client, key) = login(home).await;
    begin_to_sleep(&mut client).await;
    let inside = stack.inside(tenant).await;
    let sleeping = "select count(*) from pg_stat_activity where state = 'active' and wait_event = 'PgSleep'";
    let sleeps =
        async || inside.query_one(sleeping, &[]).await.expect("an administrator may").get::<_, i64>(0) == 1;
    wait_until("it runs", sleeps).await;
    let other_gateway = CancelKey { process_id: key.process_id ^ (1 << 28), ..key };
    let passed_on_already = CancelKey { process_id: key.process_id | i32::MIN, ..key };
    for wrong in [CancelKey { secret: key.secret ^ 1, ..key }, other_gateway, passed_on_already] {
        cancel(entry, wrong).await;
    }
    assert!(sleeps().await, "a wrong key has cancelled");
    cancel(entry, key).await;
    assert!(was_cancelled(&client.until_ready().await.expect("an answer")));
    assert_eq!(client.value("select 'still here'").await, "still here");
}
