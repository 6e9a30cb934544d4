//! A renamed tenant is reached by both names for a while, and by the new one only afterwards.

use super::{STACK, database_of};
use harness::{Knock, eventually, log_in};
use reqwest::Method;
use serde_json::{Value, json};
use tenantry::client::path;

const WHERE: &str = "select current_database()::text";

async fn rename(from: &str, body: Value) {
    STACK.must(Method::PATCH, &path(&["tenants", from]), Some(&body)).await;
}

#[tokio::test]
async fn both_names_lead_to_a_renamed_tenant_and_name_one() {
    let tenant = STACK.create_tenant("before", "eu").await;
    let database = database_of(&tenant).await;
    rename("before", json!({ "slug": "after", "keep_old_slug_s": 3600 })).await;
    for name in ["after", "before"] {
        let mut config = tenant.config();
        config.dbname(name);
        eventually("the name is known", async || log_in(&config).await.ok()).await;
        let knock = Knock::new().bearer(&tenant.api_key).path(name);
        let (status, body) = knock.ask(&STACK, WHERE).await;
        assert_eq!((status, &body["rows"][0][0]), (200, &json!(database)), "{name}: {body:#}");
    }
    let both = Knock::new().bearer(&tenant.api_key).path("before").host("after.localhost");
    assert_eq!(both.status(&STACK).await, 200, "two names of one tenant do not disagree");
    // Nobody else gets the old name meanwhile.
    let body = json!({ "slug": "before", "region": "eu" });
    assert!(STACK.client().change(Method::POST, &path(&["tenants"]), Some(&body)).await.is_err());
}

#[tokio::test]
async fn an_old_name_that_is_not_kept_leads_nowhere() {
    let tenant = STACK.create_tenant("dropped", "eu").await;
    rename("dropped", json!({ "slug": "kept", "keep_old_slug_s": 0 })).await;
    eventually("the old name is forgotten", async || {
        (log_in(&tenant.config()).await.err().as_deref() == Some("28P01")).then_some(())
    })
    .await;
    let conflict = Knock::new().bearer(&tenant.api_key).path("dropped").status(&STACK).await;
    assert_eq!(conflict, 403, "it names somebody else now, or nobody");
}
