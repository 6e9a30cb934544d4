//! A client that keeps its connection puts its settings back, and gets those of its startup packet again: nothing
//! else of its session is touched.

use crate::batch::{Batch, first};
use crate::{STACK, login, login_as, run, tenant};
use harness::Stack;
use harness::wire::WireClient;

const NOTIFICATIONS: usize = 300;

/// In some time zone of its own.
const SETTINGS: (&str, &str) = ("TimeZone", "Asia/Tokyo");

async fn own(client: &mut WireClient) -> String {
    let answer = Batch::default().bind("", &[]).execute().sync().ask(client).await;
    first(&answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_unnamed_statement_stays_what_it_is() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "restored", 2).await;
    let mut listener = login_as(&tenant, &[SETTINGS]).await;
    run(&mut listener, "listen restored").await;
    Batch::default().parse("r", "reset all").sync().expect(&mut listener, "1Z").await;
    Batch::default().parse("", "select 'own'").sync().expect(&mut listener, "1Z").await;
    Batch::default().bind("r", &[]).execute().sync().ask(&mut listener).await;
    assert_eq!(own(&mut listener).await, "own");
    assert_eq!(listener.value("show timezone").await, SETTINGS.1);

    // Where the names are the server's, nobody could prepare it again.
    let mut session = login_as(&tenant, &[SETTINGS, ("pool_mode", "session")]).await;
    for _ in 0..2 {
        let mut messages = Vec::new();
        pgwire::frontend::write::query(&mut messages, b"reset all").expect("it fits");
        session.send(&messages).await.expect("the gateway reads");
        Batch::default().parse("", "select 'own'").sync().send(&mut session).await;
        for _ in 0..2 {
            session.until_ready().await.expect("an answer");
        }
        assert_eq!(own(&mut session).await, "own");
        assert_eq!(session.value("show timezone").await, SETTINGS.1);
    }
    let prepared = "select count(*) from pg_prepared_statements where starts_with(name, '__tenantry_set')";
    assert_eq!(session.value(prepared).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_notification_is_lost_meanwhile() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "notified", 2).await;
    let (mut listener, mut notifier) = (login_as(&tenant, &[SETTINGS]).await, login(&tenant).await);
    run(&mut listener, "listen restored").await;
    let notifying = tokio::spawn(async move {
        for _ in 0..NOTIFICATIONS {
            run(&mut notifier, "notify restored").await;
        }
    });
    let mut heard = 0;
    while !notifying.is_finished() {
        for sql in ["reset all", "select 1"] {
            let answer = listener.query(sql).await.expect("an answer");
            heard += answer.iter().filter(|message| message.tag == b'A').count();
        }
    }
    notifying.await.expect("all were sent");
    while heard < NOTIFICATIONS {
        heard += usize::from(listener.message().await.expect("one more").tag == b'A');
    }
}
