//! One tenant's people with different roles: each is served by connections of its own role, and all of them together
//! have no more than their tenant may have.

use crate::{STACK, login, run, tenant, value};
use harness::wire::{WireClient, tags};
use harness::{Stack, Tenant, eventually, wait_until};
use pgwire::frontend::write;
use reqwest::Method;
use serde_json::json;
use std::collections::HashSet;
use suites::people::with_role;
use tenancy::Role;
use tokio::task::JoinSet;

/// Rounds of each client where many take turns.
const ROUNDS: usize = 12;

/// Who reads and writes what: the three that have server connections of their own.
const ROLES: [Role; 3] = [Role::Owner, Role::Member, Role::Viewer];

/// Somebody of each role, and as whom the server knows each.
async fn people(stack: &Stack, slug: &str, plan: &str) -> Vec<(Tenant, String)> {
    let tenant = tenant(stack, slug, plan).await;
    let mut people = Vec::new();
    for role in ROLES {
        let somebody = with_role(stack, &tenant, role).await;
        let known_as = value(&mut login(&somebody).await, "select current_user").await;
        people.push((somebody, known_as));
    }
    let distinct: HashSet<&String> = people.iter().map(|(_, known_as)| known_as).collect();
    assert_eq!(distinct.len(), ROLES.len(), "each logs in as a role of its own");
    people
}

async fn session(tenant: &Tenant) -> WireClient {
    let config = tenant.config();
    let user = config.get_user().expect("a user");
    let whose = [("user", user), ("database", tenant.slug.as_str()), ("pool_mode", "session")];
    match WireClient::login_as(&config, &whose).await {
        Ok(client) => client,
        Err(message) => panic!("refused: {message:?}"),
    }
}

async fn over_http(client: &reqwest::Client, tenant: &Tenant, sql: &str) -> String {
    let query = json!({ "query": sql, "arrayMode": true }).to_string();
    let request = client.post(&tenant.http_endpoint).body(query).bearer_auth(&tenant.api_key);
    let answer: serde_json::Value =
        request.send().await.expect("an answer").json().await.expect("an answer in JSON");
    answer["rows"][0][0].as_str().unwrap_or_else(|| panic!("{sql}: {answer}")).to_owned()
}

async fn connections(stack: &Stack, slug: &str, state: &str) -> f64 {
    let labels = [format!("tenant=\"{slug}\""), format!("state=\"{state}\"")];
    stack.metric("tenantry_pool_connections", &[&labels[0], &labels[1]]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_served_as_its_own_role_and_all_get_their_turn() {
    for (slug, plan) in [("turns-at-one", "single"), ("turns-at-two", "pair")] {
        let mut clients = JoinSet::new();
        for (somebody, known_as) in people(&STACK, slug, plan).await {
            for _ in 0..3 {
                let (somebody, known_as) = (somebody.clone(), known_as.clone());
                clients.spawn(async move {
                    let mut client = login(&somebody).await;
                    for _ in 0..ROUNDS {
                        run(&mut client, "begin").await;
                        assert_eq!(value(&mut client, "select session_user").await, known_as);
                        run(&mut client, "commit").await;
                        assert_eq!(value(&mut client, "select current_user").await, known_as);
                    }
                });
            }
            clients.spawn(async move {
                let http = reqwest::Client::new();
                for _ in 0..ROUNDS {
                    assert_eq!(over_http(&http, &somebody, "select session_user").await, known_as);
                }
            });
        }
        while let Some(client) = clients.join_next().await {
            client.expect("it is served, and as itself");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_nobody_uses_makes_way_and_the_cap_is_all_of_theirs() {
    let people = people(&STACK, "one-after-the-other", "single").await;
    let inside = STACK.inside(&people[0].0).await;
    for _ in 0..5 {
        for (somebody, known_as) in &people {
            assert_eq!(value(&mut login(somebody).await, "select current_user").await, *known_as);
            let open = "select count(distinct usename) from pg_stat_activity
                        where datname = current_database() and usename = any($1)";
            let roles: Vec<&String> = people.iter().map(|(_, known_as)| known_as).collect();
            let open: i64 = inside.query_one(open, &[&roles]).await.expect("an administrator may").get(0);
            assert!(open <= 2, "one that works, and one that ends");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_keep_their_connections_keep_those_of_their_role() {
    let people = people(&STACK, "kept-by-roles", "few").await;
    let mut kept = Vec::new();
    for (somebody, known_as) in &people {
        let mut client = session(somebody).await;
        assert_eq!(value(&mut client, "select current_user").await, *known_as);
        kept.push((client, known_as));
    }
    // The one connection that is left serves the transactions of all.
    for _ in 0..3 {
        for (somebody, known_as) in &people {
            assert_eq!(value(&mut login(somebody).await, "select current_user").await, *known_as);
        }
        for (client, known_as) in &mut kept {
            assert_eq!(value(client, "select current_user").await, **known_as);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_add_up_what_the_roles_have() {
    let people = people(&STACK, "summed", "few").await;
    let mut clients = Vec::new();
    for (somebody, _) in &people {
        let mut client = login(somebody).await;
        run(&mut client, "begin").await;
        clients.push(client);
    }
    assert_eq!(connections(&STACK, "summed", "active").await, 3.0);
    for client in &mut clients {
        run(client, "commit").await;
    }
    wait_until("all are idle", async || connections(&STACK, "summed", "active").await == 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_of_one_role_is_never_run_as_another() {
    let people = people(&STACK, "prepared-by-roles", "single").await;
    let mut clients = Vec::new();
    for (somebody, known_as) in &people {
        let client = somebody.connect().await;
        let statement = client.prepare("select session_user::text").await.expect("prepared");
        clients.push((client, statement, known_as));
    }
    for _ in 0..4 {
        for (client, statement, known_as) in &clients {
            let row = client.query_one(statement, &[]).await.expect("an answer");
            assert_eq!(row.get::<_, String>(0), **known_as);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_reaches_the_one_it_is_for() {
    let people = people(&STACK, "cancelled-by-roles", "few").await;
    let (owner, viewer) = (&people[0].0, &people[2].0);
    let mut query = Vec::new();
    write::query(&mut query, b"select pg_sleep(300)").expect("it fits");
    let mut waiting = [login(owner).await, login(viewer).await];
    for client in &mut waiting {
        client.send(&query).await.expect("sent");
    }
    wait_until("both are at work", async || connections(&STACK, "cancelled-by-roles", "active").await == 2.0)
        .await;
    let [owners, viewers] = &mut waiting;
    let mut messenger = WireClient::dial(&viewer.config()).await.expect("a connection");
    messenger.send(&viewers.cancel_request()).await.expect("sent");
    let answer = viewers.until_ready().await.expect("an answer");
    let error = answer.iter().find(|message| message.tag == b'E').expect("an error");
    assert_eq!(error.sqlstate(), "57014");
    assert_eq!(connections(&STACK, "cancelled-by-roles", "active").await, 1.0);
    let mut messenger = WireClient::dial(&owner.config()).await.expect("a connection");
    messenger.send(&owners.cancel_request()).await.expect("sent");
    assert!(owners.until_ready().await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_listens_on_a_connection_of_its_own_and_all_hear() {
    let people = people(&STACK, "heard-by-roles", "few").await;
    let mut ears = Vec::new();
    for (somebody, _) in &people {
        let mut ear = login(somebody).await;
        assert_eq!(tags(&ear.query("listen news").await.expect("an answer")), "CZ");
        ears.push(ear);
    }
    let inside = STACK.inside(&people[0].0).await;
    let listeners = "select usename::text from pg_stat_activity
                     where datname = current_database() and application_name = 'tenantry listener'";
    wait_until("each has its own", async || {
        let rows = inside.query(listeners, &[]).await.expect("an administrator may");
        let heard_by: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        heard_by.len() == 3 && people.iter().all(|(_, known_as)| heard_by.contains(known_as))
    })
    .await;
    run(&mut login(&people[2].0).await, "notify news, 'all'").await;
    for ear in &mut ears {
        assert_eq!(ear.message().await.expect("a notification").tag, b'A');
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_of_several_roles_leave_a_connection_to_transactions() {
    let people = people(&STACK, "listening-roles", "pair").await;
    let mut ear = login(&people[0].0).await;
    run(&mut ear, "listen news").await;
    // The listener has one of two connections, and the other is not to listen on.
    let mut second = login(&people[2].0).await;
    let said = match second.query("listen news").await {
        Ok(mut answer) => {
            answer.extend(second.until_end().await.expect("the end"));
            answer
        }
        Err(_ended) => Vec::new(),
    };
    assert!(said.iter().any(|message| message.tag == b'E' && message.sqlstate() == "53300"), "{said:?}");
    for (somebody, known_as) in &people {
        assert_eq!(value(&mut login(somebody).await, "select current_user").await, *known_as);
    }
    run(&mut login(&people[1].0).await, "notify news, 'still'").await;
    assert_eq!(ear.message().await.expect("a notification").tag, b'A');
}

/// What the gateway tells a client that connects.
async fn greeting(tenant: &Tenant, name: &str) -> Option<String> {
    let config = tenant.config();
    let mut client = WireClient::dial(&config).await.expect("a connection");
    let user = config.get_user().expect("a user");
    client.startup(&[("user", user), ("database", &tenant.slug)]).await.expect("sent");
    client.authenticate(config.get_password().expect("a password")).await.expect("let in");
    let said = client.until_ready().await.expect("a greeting");
    said.iter().filter(|message| message.tag == b'S').find_map(|message| {
        let (known, value) = pgwire::backend::parameter_status(&message.body).expect("a parameter");
        (known == name.as_bytes()).then(|| String::from_utf8_lossy(value).into_owned())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_greeted_as_by_its_own_role() {
    let people = people(&STACK, "greeted-by-role", "few").await;
    for (somebody, known_as) in &people {
        assert_eq!(greeting(somebody, "session_authorization").await.as_ref(), Some(known_as));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_ends_every_role() {
    let people = people(&STACK, "suspended-roles", "few").await;
    let mut clients = Vec::new();
    for (somebody, _) in &people {
        clients.push(login(somebody).await);
    }
    STACK.change_state("suspended-roles", "suspend").await;
    for client in &mut clients {
        let said = client.until_end().await.unwrap_or_default();
        assert!(said.iter().any(|message| message.tag == b'E'), "it is told why: {said:?}");
    }
    assert_eq!(connections(&STACK, "suspended-roles", "idle").await, 0.0);
    STACK.change_state("suspended-roles", "resume").await;
    for (somebody, known_as) in &people {
        let mut client =
            eventually("it is served again", async || WireClient::login(&somebody.config()).await.ok()).await;
        assert_eq!(value(&mut client, "select current_user").await, *known_as);
    }
    let purge = tenantry::client::path(&["tenants", "suspended-roles"]);
    let started = STACK.must(Method::DELETE, &purge, None).await;
    assert!(started.is_object());
    wait_until("nothing of it is left", async || {
        connections(&STACK, "suspended-roles", "idle").await
            + connections(&STACK, "suspended-roles", "active").await
            == 0.0
    })
    .await;
}
