//! The same names and texts in many hands, and nobody gets another's.

use crate::batch::{Batch, first, sqlstate};
use crate::{STACK, login, run, tenant};
use harness::Stack;

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
