//! Every name leads to the tenant's own database, and to no other; what cannot be proved is not served.

use harness::wire::{Message, WireClient};
use harness::{SharedStack, Stack, Tenant, eventually, wait_until};
use reqwest::Method;
use serde_json::json;
use std::sync::LazyLock;
use suites::settled::answer_in_the_end;
use tenantry::client::path;
use tenantry::dev::{ClusterSpec, StackOptions};

/// Nothing becomes known by the lapse of time here: what a test sees soon, a notification has brought.
const NEVER_MS: u64 = 60_000;

/// Clusters in `ap` and `sa` belong to one test each.
static STACK: LazyLock<SharedStack> = LazyLock::new(|| {
    SharedStack::start(async || {
        let regions = [("eu-1", "eu"), ("us-1", "us"), ("ap-1", "ap"), ("sa-1", "sa")];
        let clusters = regions.map(|(name, region)| ClusterSpec::new(name, region)).to_vec();
        let options = StackOptions::ephemeral().clusters(clusters).gateway(|gateway| {
            gateway.routes.negative_ttl_ms = NEVER_MS;
            gateway.routes.resync_interval_ms = NEVER_MS;
        });
        Stack::start_with(options).await
    })
});

async fn enter(tenant: &Tenant, parameters: &[(&str, &str)]) -> Result<WireClient, String> {
    WireClient::login_as(&tenant.config(), parameters).await.map_err(|refused| refused.sqlstate())
}

async fn refused(tenant: &Tenant, parameters: &[(&str, &str)]) -> String {
    match enter(tenant, parameters).await {
        Ok(_) => panic!("{parameters:?} was let in"),
        Err(sqlstate) => sqlstate,
    }
}

async fn rename(tenant: &Tenant, slug: &str) {
    STACK.must(Method::PATCH, &path(&["tenants", &tenant.id]), Some(&json!({ "slug": slug }))).await;
}

fn error_of(messages: &[Message]) -> String {
    let error = messages.iter().find(|message| message.tag == b'E');
    error.unwrap_or_else(|| panic!("no error: {messages:?}")).sqlstate()
}

#[tokio::test]
async fn each_way_to_name_a_tenant_leads_to_its_own_database() {
    let tenant = STACK.create_tenant("named", "eu").await;
    STACK.create_tenant("other-named", "eu").await;
    let physical = STACK.physical(&tenant).await;
    for parameters in [
        &[("user", "app"), ("database", "named")][..],
        &[("user", "app.named")],
        &[("user", "app.named"), ("database", "app.named")],
        &[("user", "app.named"), ("database", "named")],
        &[("user", "app"), ("options", "-c tenant=named")],
        &[("user", "app"), ("database", "app"), ("options", "-ctenant=named")],
        &[("user", "app"), ("database", "named"), ("options", "--tenant=named -c statement_timeout=9s")],
    ] {
        let mut client = enter(&tenant, parameters).await.expect("let in");
        assert_eq!(client.value("select current_database()").await, physical.database, "{parameters:?}");
        assert_eq!(client.value("select current_user").await, physical.role, "{parameters:?}");
    }
}

#[tokio::test]
async fn two_names_that_disagree_are_refused() {
    let tenant = STACK.create_tenant("agreeing", "eu").await;
    STACK.create_tenant("disagreeing", "eu").await;
    for parameters in [
        &[("user", "app.agreeing"), ("database", "disagreeing")][..],
        &[("user", "app"), ("database", "agreeing"), ("options", "-c tenant=disagreeing")],
        &[("user", "app.agreeing"), ("options", "-c tenant=disagreeing")],
        &[("user", "app.agreeing"), ("database", "no-such-tenant")],
        &[("user", "app")],
        &[("user", "app"), ("database", "")],
    ] {
        assert_eq!(refused(&tenant, parameters).await, "28000", "{parameters:?}");
    }
}

#[tokio::test]
async fn names_that_no_tenant_has_are_merely_unknown() {
    let tenant = STACK.create_tenant("known", "eu").await;
    let physical = STACK.physical(&tenant).await;
    // A name of our own, a database that every server has, what can be no name, and the physical database.
    for database in
        ["nobody", "postgres", "template1", "tenantry", "Known", "known ", "a--b", &physical.database]
    {
        let parameters = [("user", "app"), ("database", database)];
        assert_eq!(refused(&tenant, &parameters).await, "28P01", "{database}");
    }
    let parameters = [("user", &*physical.role), ("database", "known")];
    assert_eq!(refused(&tenant, &parameters).await, "28P01", "the physical role");
}

#[tokio::test]
async fn words_of_our_own_cannot_be_taken() {
    for slug in ["postgres", "admin", "template0", "tenantry", "localhost"] {
        let body = json!({ "slug": slug, "region": "eu" });
        let answer = STACK.client().change(Method::POST, &path(&["tenants"]), Some(&body)).await;
        assert_eq!(answer.expect_err("reserved").kind(), Some("slug-invalid"), "{slug}");
    }
}

#[tokio::test]
async fn a_renamed_tenant_is_found_by_both_names_until_the_old_one_lapses() {
    let tenant = STACK.create_tenant("before", "eu").await;
    let database = STACK.physical(&tenant).await.database;
    rename(&tenant, "after").await;
    for slug in ["before", "after"] {
        let lead_there = async || {
            let mut client = enter(&tenant, &[("user", "app"), ("database", slug)]).await.ok()?;
            Some(client.value("select current_database()").await)
        };
        assert_eq!(eventually("the name is known", lead_there).await, database, "{slug}");
    }
    let taken = json!({ "slug": "before", "region": "eu" });
    let answer = STACK.client().change(Method::POST, &path(&["tenants"]), Some(&taken)).await;
    assert_eq!(answer.expect_err("it still leads to the tenant").kind(), Some("slug-taken"));

    let lapse = "update catalog.slug_aliases set expires_at = now() where slug = 'before'";
    STACK.catalog_admin().await.batch_execute(lapse).await.expect("the alias ends");
    let old_name = [("user", "app"), ("database", "before")];
    wait_until("the old name has lapsed", async || enter(&tenant, &old_name).await.is_err()).await;
    assert_eq!(refused(&tenant, &old_name).await, "28P01");
    let heir = STACK.create_tenant("before", "eu").await;
    let client = heir.connect().await;
    let row = client.query_one("select current_database()::text", &[]).await.expect("served");
    assert_eq!(row.get::<_, String>(0), STACK.physical(&heir).await.database);
    assert_ne!(row.get::<_, String>(0), database);
}

#[tokio::test]
async fn a_new_tenant_is_known_though_its_name_was_asked_for_before() {
    let asker = STACK.create_tenant("asker", "eu").await;
    let wanted = [("user", "app"), ("database", "wanted")];
    assert_eq!(refused(&asker, &wanted).await, "28P01");
    // The gateway remembers an unknown name for longer than any test waits.
    let tenant = STACK.create_tenant("wanted", "us").await;
    let mut client = enter(&tenant, &wanted).await.expect("known at once");
    assert_eq!(client.value("select current_database()").await, STACK.physical(&tenant).await.database);
}

/// Many clients of two tenants at once; each sees its own rows on every one of its connections.
#[tokio::test]
async fn tenants_never_meet() {
    let tenants = [STACK.create_tenant("left", "eu").await, STACK.create_tenant("right", "eu").await];
    for tenant in &tenants {
        let own = format!("create table mine as select '{}'::text as slug", tenant.slug);
        tenant.connect().await.batch_execute(&own).await.expect("an owner may create tables");
    }
    let mut clients = tokio::task::JoinSet::new();
    for tenant in tenants.iter().cycle().take(40).cloned() {
        clients.spawn(async move {
            let client = tenant.connect().await;
            for _ in 0..20 {
                let row = client.query_one("select slug from mine", &[]).await.expect("its own table");
                assert_eq!(row.get::<_, String>(0), tenant.slug);
            }
        });
    }
    clients.join_all().await;
    let client = tenants[0].connect().await;
    let others = "select count(*) from pg_database
        where datname <> current_database() and datallowconn and has_database_privilege(datname, 'connect')
          and datname like 't\\_%'";
    let row = client.query_one(others, &[]).await.expect("everybody may ask");
    assert_eq!(row.get::<_, i64>(0), 0, "a tenant's role may enter another's database");
}

/// What is behind the gateway is not what the catalog says: nothing of the client's may get there.
async fn assert_mismatch(tenant: &Tenant, spoil: &str, restore: &str) {
    let inside = STACK.inside(tenant).await;
    let mut client = WireClient::login(&tenant.config()).await.expect("let in");
    inside.batch_execute(spoil).await.expect("an administrator may");
    STACK.end_sessions(tenant).await;
    let write = "insert into witnesses values (1)";
    let answer = client.query(write).await.expect("an error leaves the client connected");
    assert_eq!(error_of(&answer), "08004", "{spoil}");
    let (status, body) = STACK.http_query(tenant, write, &[]).await;
    assert_eq!((status, body["code"].as_str()), (502, Some("08004")), "{body:#}");
    let row = inside.query_one("select count(*) from witnesses", &[]).await.expect("an administrator may");
    assert_eq!(row.get::<_, i64>(0), 0, "{spoil}: a statement got through");

    inside.batch_execute(restore).await.expect("an administrator may");
    let returning = format!("{write} returning 'written'");
    assert_eq!(answer_in_the_end(&mut client, &returning).await, "written");
    inside.batch_execute("truncate witnesses").await.expect("an administrator may");
}

#[tokio::test]
async fn a_database_without_the_tenants_marker_is_not_used() {
    let tenant = STACK.create_tenant("marked", "eu").await;
    let other = STACK.create_tenant("other-marked", "eu").await;
    tenant.connect().await.batch_execute("create table witnesses (n int)").await.expect("an owner may");
    let (own, strange) = (&tenant.id, &other.id);
    for (spoil, restore) in [
        (
            format!("update tenantry.marker set tenant_id = '{strange}'"),
            format!("update tenantry.marker set tenant_id = '{own}'"),
        ),
        ("delete from tenantry.marker".to_owned(), format!("insert into tenantry.marker values ('{own}')")),
        (
            format!("insert into tenantry.marker values ('{strange}')"),
            format!("delete from tenantry.marker where tenant_id = '{strange}'"),
        ),
        (
            "alter table tenantry.marker rename to hidden".to_owned(),
            "alter table tenantry.hidden rename to marker".to_owned(),
        ),
    ] {
        assert_mismatch(&tenant, &spoil, &restore).await;
    }
}

#[tokio::test]
async fn the_tenant_cannot_touch_its_marker() {
    let tenant = STACK.create_tenant("tempted", "eu").await;
    let client = tenant.connect().await;
    for sql in [
        "update tenantry.marker set tenant_id = gen_random_uuid()",
        "delete from tenantry.marker",
        "drop schema tenantry cascade",
        "create table tenantry.mine (n int)",
        "create function tenantry.f() returns int language sql as 'select 1'",
        "alter schema tenantry rename to other",
    ] {
        let error = client.batch_execute(sql).await.expect_err(sql);
        assert_eq!(error.code().map(|code| code.code()), Some("42501"), "{sql}");
    }
}

#[tokio::test]
async fn a_server_with_another_identity_is_not_used() {
    let tenant = STACK.create_tenant("moved", "ap").await;
    tenant.connect().await.batch_execute("create table witnesses (n int)").await.expect("an owner may");
    let mut open = WireClient::login(&tenant.config()).await.expect("let in");
    let catalog = STACK.catalog_admin().await;
    let query = "select system_identifier from catalog.clusters where name = 'ap-1'";
    let known: String = catalog.query_one(query, &[]).await.expect("the cluster is known").get(0);
    let set = "update catalog.clusters set system_identifier = $1 where name = 'ap-1'";
    catalog.execute(set, &[&"7000000000000000000"]).await.expect("an administrator may");
    let login = async || WireClient::login(&tenant.config()).await;
    let refusal = eventually("new clients are refused", async || login().await.err()).await;
    assert_eq!(refusal.sqlstate(), "08004");
    let answer = open.query("insert into witnesses values (1)").await.expect("an error, no end");
    assert_eq!(error_of(&answer), "08004");
    catalog.execute(set, &[&known]).await.expect("an administrator may");
    let count = async || {
        let mut client = login().await.ok()?;
        Some(client.value("select count(*) from witnesses").await)
    };
    assert_eq!(eventually("the tenant is served again", count).await, "0");
}

#[tokio::test]
async fn an_offline_cluster_is_not_used_until_it_is_back() {
    let tenant = STACK.create_tenant("offline", "sa").await;
    let elsewhere = STACK.create_tenant("elsewhere", "eu").await;
    let client = tenant.connect().await;
    let set_state = async |state: &str| {
        let body = json!({ "state": state });
        STACK.must(Method::PATCH, &path(&["clusters", "sa-1"]), Some(&body)).await
    };
    set_state("offline").await;
    let error =
        eventually("queries are refused", async || client.batch_execute("select 1").await.err()).await;
    assert_eq!(error.code().map(|code| code.code()), Some("08006"));
    let error = tenant.try_connect().await.expect_err("new clients are refused too");
    assert_eq!(error.code().map(|code| code.code()), Some("08006"));
    elsewhere.connect().await.batch_execute("select 1").await.expect("other clusters are served");
    wait_until("its connections are closed", async || STACK.sessions(&tenant).await == 0).await;
    set_state("active").await;
    wait_until("the same client is served again", async || client.batch_execute("select 1").await.is_ok())
        .await;
}

/// The catalog does not let this happen; the gateway does not rely on it.
#[tokio::test]
async fn data_outside_the_allowed_regions_is_not_reached() {
    let tenant = STACK.create_tenant("resident", "eu").await;
    let mut client = WireClient::login(&tenant.config()).await.expect("let in");
    let forbid = json!({ "allowed_regions": ["us"] });
    let answer = STACK.client().change(Method::PATCH, &path(&["tenants", "resident"]), Some(&forbid)).await;
    assert!(answer.is_err(), "the data stands in eu");

    let around_the_rules = [
        "alter table catalog.tenants disable trigger tenants_placement_agrees",
        &format!(
            "update catalog.tenants set region = 'us', allowed_regions = '{{us}}' where id = '{}'",
            tenant.id
        ),
        "alter table catalog.tenants enable trigger tenants_placement_agrees",
    ];
    let catalog = STACK.catalog_admin().await;
    for sql in around_the_rules {
        catalog.batch_execute(sql).await.expect("a superuser may");
    }
    let error = eventually("new clients are refused", async || tenant.try_connect().await.err()).await;
    assert_eq!(error.code().map(|code| code.code()), Some("57P03"));
    assert!(client.query("select 1").await.is_err(), "clients that are in are sent away");
    let (status, body) = STACK.http_query(&tenant, "select 1", &[]).await;
    assert_eq!((status, body["code"].as_str()), (503, Some("57P03")), "{body:#}");
}
