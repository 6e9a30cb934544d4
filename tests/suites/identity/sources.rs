//! Which tenant is meant: every place that names one, and those that disagree.

use super::{STACK, database_of};
use harness::{Knock, Tenant, log_in};
use serde_json::Value;

const WHERE: &str = "select current_database()::text";

async fn lands_in(knock: &Knock, database: &str) {
    let (status, body) = knock.ask(&STACK, WHERE).await;
    assert_eq!((status, &body["rows"][0][0]), (200, &Value::from(database)), "{knock:?}: {body:#}");
}

async fn anomalies(listener: &str, first: &str, second: &str) -> f64 {
    let labels =
        [format!("listener=\"{listener}\""), format!("first=\"{first}\""), format!("second=\"{second}\"")];
    let labels: Vec<_> = labels.iter().map(String::as_str).collect();
    STACK.metric("tenantry_cross_tenant_anomalies_total", &labels).await
}

/// A connection string that names no tenant.
fn nameless(tenant: &Tenant) -> String {
    format!("postgres://app:{}@127.0.0.1", tenant.password())
}

#[tokio::test]
async fn each_place_of_a_request_names_the_tenant_and_none_is_asked_for_where_a_key_says_it() {
    let tenant = STACK.create_tenant("placed", "eu").await;
    let database = database_of(&tenant).await;
    let proofs = [Knock::new().bearer(&tenant.api_key), Knock::new().connection_string(&nameless(&tenant))];
    for proof in proofs {
        lands_in(&proof.clone().host("placed.localhost:8080"), &database).await;
        lands_in(&proof.clone().path("placed"), &database).await;
        lands_in(&proof.path("placed").host("placed.localhost"), &database).await;
    }
    lands_in(&Knock::new().bearer(&tenant.api_key), &database).await;
    // What can be no tenant's, and what is none of our hosts, names nothing.
    for host in ["api.localhost", "www.localhost", "gateway.example.org", "10.0.0.1:80"] {
        lands_in(&Knock::new().bearer(&tenant.api_key).host(host), &database).await;
    }
}

#[tokio::test]
async fn whoever_names_two_tenants_is_refused_and_counted() {
    let (mine, other) = (STACK.create_tenant("mine", "eu").await, STACK.create_tenant("theirs", "eu").await);
    let key = || Knock::new().bearer(&mine.api_key);
    for (source, knock) in [
        ("host", key().host("theirs.localhost")),
        ("path", key().path("theirs")),
        ("database", key().connection_string("postgres://app:x@h/theirs")),
        ("user", key().connection_string("postgres://app.theirs:x@h")),
        ("path", key().path("nobody-at-all")),
    ] {
        let before = anomalies("http", "api-key", source).await;
        let (status, body) = knock.ask(&STACK, WHERE).await;
        assert_eq!((status, &body["code"]), (403, &Value::from("28000")), "{body:#}");
        assert!(!body.to_string().contains(&other.id) && !body.to_string().contains("theirs"), "{body:#}");
        assert!(anomalies("http", "api-key", source).await > before, "{source}");
    }
    // A wrong key learns nothing of that.
    assert_eq!(Knock::new().bearer("tnt_wrong").path("theirs").status(&STACK).await, 401);
    let before = anomalies("pg", "user", "database").await;
    let mut config = mine.config();
    config.user("app.theirs").dbname("mine");
    assert_eq!(log_in(&config).await.err().as_deref(), Some("28000"));
    assert!(anomalies("pg", "user", "database").await > before);
}

#[tokio::test]
async fn the_header_is_refused_from_everybody_but_services() {
    let tenant = STACK.create_tenant("headed", "eu").await;
    for named in [tenant.id.as_str(), "headed"] {
        let with_key = Knock::new().bearer(&tenant.api_key).tenant_header(named);
        assert_eq!(with_key.status(&STACK).await, 403);
        let with_password = Knock::new().connection_string(&tenant.connection_string).tenant_header(named);
        assert_eq!(with_password.status(&STACK).await, 403);
        // Nobody in particular is told no more than that.
        assert_eq!(Knock::new().bearer("tnt_wrong").tenant_header(named).status(&STACK).await, 401);
    }
}

#[tokio::test]
async fn nobody_and_nothing_are_told_apart_by_what_is_missing() {
    let tenant = STACK.create_tenant("missing", "eu").await;
    assert_eq!(Knock::new().status(&STACK).await, 400);
    assert_eq!(Knock::new().connection_string(&nameless(&tenant)).status(&STACK).await, 400);
    // Whether there is such a tenant is not told.
    assert_eq!(Knock::new().path("missing").status(&STACK).await, 401);
    assert_eq!(Knock::new().path("no-such-tenant").status(&STACK).await, 401);
}
