//! The same names and texts in many hands, and nobody gets another's.

use crate::batch::{Batch, first, sqlstate};
use crate::{STACK, login, login_as, run, tenant};
use harness::Stack;
use harness::wire::tags;

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_statement_is_never_executed() {
    let stack: &Stack = &STACK;
    let tenants = [tenant(stack, "stranger-one", 1).await, tenant(stack, "stranger-two", 2).await];
    let mut clients = Vec::new();
    for tenant in &tenants {
        let mut owner = login(tenant).await;
        run(&mut owner, &format!("create table whose as select '{}' as slug", tenant.slug)).await;
        for number in 0..4 {
            let mut client = login(tenant).await;
            let text = format!("select '{number} of ' || slug from whose");
            Batch::default()
                .parse("same", &text)
                .parse("", "select slug from whose")
                .sync()
                .expect(&mut client, "11Z")
                .await;
            clients.push((client, format!("{number} of {}", tenant.slug), tenant.slug.clone()));
        }
    }
    for round in 0..10 {
        for (client, named, slug) in &mut clients {
            let answer = Batch::default().bind("same", &[]).execute().sync().expect(client, "2DCZ").await;
            assert_eq!(first(&answer), *named);
            if round % 2 == 0 {
                let answer = Batch::default().bind("", &[]).execute().sync().expect(client, "2DCZ").await;
                assert_eq!(first(&answer), *slug);
            } else {
                let answer =
                    Batch::default().unnamed("select slug from whose", &[]).expect(client, "12TDCZ").await;
                assert_eq!(first(&answer), *slug);
            }
        }
    }
    // Nor does a newcomer have any of it, by whatever name.
    for tenant in &tenants {
        let mut newcomer = login(tenant).await;
        for name in ["same", "", "__tenantry_1", "__tenantry_none", "__tenantry_gone"] {
            let answer = Batch::default().bind(name, &[]).execute().sync().expect(&mut newcomer, "EZ").await;
            assert_eq!(sqlstate(&answer), "26000", "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stranger_left_unnamed_is_not_there() {
    let stack: &Stack = &STACK;
    let tenant = tenant(stack, "left-unnamed", 1).await;
    let mut stranger = login(&tenant).await;
    run(&mut stranger, "create table deeds (n int)").await;
    let leave = || Batch::default().parse("", "insert into deeds values (1)").sync();

    // Its own Parse is thrown away, which shows only when more has been sent.
    let mut client = login(&tenant).await;
    leave().expect(&mut stranger, "1Z").await;
    let batch = Batch::default().parse("x", "selec 1").parse("", "select 'seen first'").sync();
    batch.bind("", &[]).execute().sync().send(&mut client).await;
    for code in ["42601", "26000"] {
        let answer = client.until_ready().await.expect("an answer");
        assert_eq!((tags(&answer).as_str(), sqlstate(&answer).as_str()), ("EZ", code));
    }

    // What is thrown away is the Parse that brings its statement to another connection.
    Batch::default().parse("n", "select $1::int").parse("", "select 'mine'").sync().ask(&mut client).await;
    leave().expect(&mut stranger, "1Z").await;
    let batch = Batch::default().bind("n", &["x"]).execute().bind("", &[]).sync();
    batch.bind("", &[]).execute().sync().bind("", &[]).execute().sync().send(&mut client).await;
    assert_eq!(sqlstate(&client.until_ready().await.expect("an answer")), "22P02");
    for _ in 0..2 {
        let answer = client.until_ready().await.expect("an answer");
        assert_eq!((tags(&answer).as_str(), first(&answer).as_str()), ("2DCZ", "mine"));
    }

    // No portal is there either, nor anything for a client whose names are the server's.
    leave().expect(&mut stranger, "1Z").await;
    for options in [&[][..], &[("pool_mode", "session")]] {
        let mut newcomer = login_as(&tenant, options).await;
        let answer = Batch::default().bind("", &[]).execute().sync().expect(&mut newcomer, "EZ").await;
        assert_eq!(sqlstate(&answer), "26000", "{options:?}");
        let answer = Batch::default().describe("").sync().expect(&mut newcomer, "EZ").await;
        assert_eq!(sqlstate(&answer), "26000", "{options:?}");
        for batch in [Batch::default().execute(), Batch::default().describe_portal()] {
            assert_eq!(sqlstate(&batch.sync().expect(&mut newcomer, "EZ").await), "34000", "{options:?}");
        }
    }
    assert_eq!(stranger.value("select count(*) from deeds").await, "0");
}
