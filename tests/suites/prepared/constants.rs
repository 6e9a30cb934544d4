//! PostgreSQL reads a text's constants once, by the settings of that moment: a statement that clients share is read by
//! settings that all of them have.

use crate::batch::{Batch, first};
use crate::{STACK, login, login_as, run, tenant};
use harness::wire::WireClient;
use harness::{Stack, Tenant};

/// The hour of a day's begin, in UTC: 0 where the text is read in UTC, 15 where it is read in Tokyo.
const HOUR: &str = "select extract(hour from timestamptz '2024-01-01' at time zone 'utc')::int";

const TO_TOKYO: &str = "begin; set local timezone = 'Asia/Tokyo'";

async fn in_utc(tenant: &Tenant) -> WireClient {
    login_as(tenant, &[("TimeZone", "UTC")]).await
}

/// A query and a batch in one go, and the first value that comes of the batch, if any.
async fn pipelined(client: &mut WireClient, sql: &str, batch: Batch) -> Option<String> {
    let mut messages = Vec::new();
    pgwire::frontend::write::query(&mut messages, sql.as_bytes()).expect("it fits");
    client.send(&messages).await.expect("the gateway reads");
    batch.send(client).await;
    client.until_ready().await.expect("an answer");
    let answer = client.until_ready().await.expect("an answer");
    answer.iter().find(|message| message.tag == b'D').map(|message| message.first_column())
}

/// Parses the text as somebody else in UTC.
async fn hour_of_others(tenant: &Tenant) -> String {
    let mut other = in_utc(tenant).await;
    let batch = Batch::default().parse("others", HOUR).bind("others", &[]).execute().sync();
    first(&batch.expect(&mut other, "12DCZ").await)
}

/// Has the tenant's one connection forget all statements.
async fn forget(tenant: &Tenant) {
    run(&mut login(tenant).await, "discard all").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_parsed_behind_a_request_under_way_is_the_clients_own() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "constants-behind", 1).await;
    let mut client = in_utc(&tenant).await;
    let batch = Batch::default().parse("s", HOUR).bind("s", &[]).execute().sync();
    assert_eq!(pipelined(&mut client, TO_TOKYO, batch).await.as_deref(), Some("15"));
    run(&mut client, "commit").await;
    assert_eq!(hour_of_others(&tenant).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_brought_to_a_connection_under_other_settings_does_not_stay() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "constants-brought", 1).await;
    let mut client = in_utc(&tenant).await;
    Batch::default().parse("s", HOUR).sync().expect(&mut client, "1Z").await;
    let use_it = || Batch::default().bind("s", &[]).execute().sync();

    // Behind a request that changes them.
    forget(&tenant).await;
    pipelined(&mut client, TO_TOKYO, use_it()).await.expect("a value");
    run(&mut client, "commit").await;
    assert_eq!(hour_of_others(&tenant).await, "0");

    // By a client that has changed them long ago.
    run(&mut client, "set timezone = 'Asia/Tokyo'").await;
    forget(&tenant).await;
    use_it().expect(&mut client, "2DCZ").await;
    assert_eq!(hour_of_others(&tenant).await, "0");
}
