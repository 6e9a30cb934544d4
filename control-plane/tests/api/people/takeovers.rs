//! Accounts and tenants stay with whoever they belong to: what others have made, known or given before does not open them.

use super::{PASSWORD, Person, at, try_sign_in};
use crate::fixture::{Answer, Plane, eventually};
use reqwest::Method;
use serde_json::{Value, json};

const INVITES: &str = "/v1/tenants/acme/invites";

async fn invited(plane: &Plane, by: &Person, email: &str, role: &str) -> Value {
    plane.expect(201, by.posts(plane, INVITES, &json!({ "email": email, "role": role }))).await
}

async fn accepted(plane: &Plane, invite: &Value, password: &str) -> Answer {
    let body = json!({ "token": invite["token"], "display_name": "New", "password": password });
    plane.send(plane.bare(Method::POST, "/v1/invites/accept").json(&body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_an_invite_has_made_is_given_nothing_by_its_address() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    plane.tenant("bigcorp").await;
    let eve = plane.member("eve", "acme", "admin").await;
    let invite = invited(&plane, &eve, "ceo@bigcorp.com", "member").await;
    let id = accepted(&plane, &invite, PASSWORD).await.body["user"]["id"].as_str().unwrap().to_owned();
    let shown = plane.expect(200, plane.get("/v1/users/ceo@bigcorp.com")).await;
    assert_eq!(shown["made_by_invite_of"], plane.shown("acme").await["id"]);
    let add =
        |user: &str| plane.post("/v1/tenants/bigcorp/members", json!({ "user": user, "role": "owner" }));
    let identity = json!({ "issuer": "https://login.example.com/", "subject": "ceo" });
    let link = |user: &str| plane.post(&format!("/v1/users/{user}/identities"), identity.clone());
    assert_eq!(plane.refused(add("ceo@bigcorp.com")).await, "address-unproven");
    assert_eq!(plane.refused(link("ceo@bigcorp.com")).await, "address-unproven");
    plane.expect(201, add(&id)).await;
    plane.expect(200, link(&id)).await;
    // Of an account that the operator has made, or given its address, the address will do.
    plane.expect(201, add("eve@example.com")).await;
    plane.expect(200, plane.patch(&format!("/v1/users/{id}"), json!({ "email": "chief@bigcorp.com" }))).await;
    plane.expect(200, plane.delete(&format!("/v1/tenants/bigcorp/members/{id}"))).await;
    plane.expect(201, add("chief@bigcorp.com")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_was_taken_by_an_invite_is_free_again_some_day() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let eve = plane.member("eve", "acme", "admin").await;
    let mut ids = Vec::new();
    for name in ["stays", "goes"] {
        let invite = invited(&plane, &eve, &format!("{name}@example.com"), "member").await;
        ids.push(accepted(&plane, &invite, PASSWORD).await.body["user"]["id"].as_str().unwrap().to_owned());
    }
    plane.person("made-by-the-operator").await;
    plane.expect(200, plane.delete(&format!("/v1/tenants/acme/members/{}", ids[1]))).await;
    plane.sql("update catalog.users set created_at = now() - interval '31 days'").await;
    let context = catalog_schema::Context { actor: "test".to_owned(), request_id: String::new() };
    let mut tx = plane.catalog.begin(&context).await.unwrap();
    let day = std::time::Duration::from_secs(86_400);
    assert_eq!(tx.users_forget(day * 32, 10).await.unwrap(), 0);
    tx.users_forget(day * 30, 10).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(plane.sql("select 1 from catalog.users where email = 'goes@example.com'").await, 0);
    assert_eq!(plane.sql("select 1 from catalog.users").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_gives_what_its_maker_still_may_give() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    plane.member("root", "acme", "owner").await;
    let ways = ["removed", "demoted", "disabled", "stays"];
    for way in ways {
        let eve = plane.member(&format!("eve-{way}"), "acme", "admin").await;
        let invite = invited(&plane, &eve, &format!("{way}@example.com"), "admin").await;
        match way {
            "removed" => drop(plane.expect(200, plane.delete(&at("acme", &eve))).await),
            "demoted" => {
                plane.expect(200, plane.patch(&at("acme", &eve), json!({ "role": "viewer" }))).await;
            }
            "disabled" => {
                let user = format!("/v1/users/{}", eve.id);
                plane.expect(200, plane.patch(&user, json!({ "disabled": true }))).await;
            }
            _ => {}
        }
        let expected = if way == "stays" { 201 } else { 404 };
        assert_eq!(accepted(&plane, &invite, PASSWORD).await.status, expected, "{way}");
    }
    let (id, key) = plane.key("acme", "owner", "admin").await;
    for (name, revoked, expected) in [("one", false, 201), ("two", true, 404)] {
        let body = json!({ "email": format!("{name}@example.com"), "role": "member" });
        let made = plane.bare(Method::POST, INVITES).bearer_auth(&key).json(&body);
        let invite = plane.expect(201, made).await;
        if revoked {
            plane.expect(200, plane.delete(&format!("/v1/tenants/acme/credentials/{id}"))).await;
        }
        assert_eq!(accepted(&plane, &invite, PASSWORD).await.status, expected, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_tells_of_accounts_only_for_an_attempt() {
    let adapt = |config: &mut config::ControlPlaneConfig| config.people.sign_ins_per_account = 2;
    let http = reqwest::Client::new();
    let plane =
        Plane::start_adapted(std::sync::Arc::new(control_plane::failpoint::NoFailpoints), http, adapt).await;
    plane.register_eu().await;
    plane.tenant("acme").await;
    let eve = plane.member("eve", "acme", "admin").await;
    let ann = plane.person("ann").await;
    let (known, unknown) = (
        invited(&plane, &eve, &ann.email, "viewer").await,
        invited(&plane, &eve, "nobody@example.com", "viewer").await,
    );
    for _ in 0..4 {
        for invite in [&known, &unknown] {
            assert_eq!(accepted(&plane, invite, "short").await.problem(), "invalid-field");
        }
    }
    for expected in ["sign-in-first", "sign-in-first", "too-many-sign-ins"] {
        assert_eq!(accepted(&plane, &known, PASSWORD).await.problem(), expected);
    }
    assert_eq!(accepted(&plane, &unknown, PASSWORD).await.status, 201);
}

/// Opens a transaction beside the control plane's that holds a user's row and gives them another password.
#[tokio::test(flavor = "multi_thread")]
async fn who_knew_the_password_before_it_was_changed_does_not_get_in() {
    let plane = Plane::start_empty(std::sync::Arc::new(control_plane::failpoint::NoFailpoints)).await;
    let (ann, bob) = (plane.person("ann").await, plane.person("bob").await);
    let (mut beside, connection) =
        tokio_postgres::connect(plane.catalog_dsn.expose(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    for by_session in [false, true] {
        let holder = beside.transaction().await.unwrap();
        holder
            .execute(
                "update catalog.users u set password_hash = b.password_hash from catalog.users b
                 where u.email = $1 and b.email = $2",
                &[&ann.email, &bob.email],
            )
            .await
            .unwrap();
        let change = json!({ "current": PASSWORD, "new": "another password" });
        let attempt = async {
            if by_session {
                return plane.send(ann.posts(&plane, "/v1/session/password", &change)).await;
            }
            try_sign_in(&plane, &ann.email, PASSWORD).await
        };
        let changed = async {
            eventually("the attempt waits for the user", async || {
                (plane.sql("select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'").await > 0).then_some(())
            })
            .await;
            holder.commit().await.unwrap();
        };
        let (answer, ()) = tokio::join!(attempt, changed);
        assert_eq!((answer.status, answer.problem()), (401, "sign-in-refused"), "by session: {by_session}");
        // The hash is bob's now, of the very same password, under another salt.
        assert_eq!(try_sign_in(&plane, &ann.email, PASSWORD).await.status, 201);
        let other = plane.person("other").await;
        plane
            .sql(&format!(
                "update catalog.users set password_hash = (select password_hash from catalog.users where id = '{}')
                 where email = 'bob@example.com'; delete from catalog.users where id = '{}'",
                other.id, other.id
            ))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_away_what_they_could_not_give() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let body =
        json!({ "name": "keeper", "permissions": ["credentials.manage", "members.manage", "members.read"] });
    plane.expect(201, plane.post("/v1/tenants/acme/roles", body)).await;
    let keeper = plane.member("kim", "acme", "keeper").await;
    let (id, _) = plane.key("acme", "owner", "admin").await;
    let invite =
        plane.expect(201, plane.post(INVITES, json!({ "email": "x@example.com", "role": "owner" }))).await;
    let invite = format!("{INVITES}/{}", invite["invite"]["id"].as_str().unwrap());
    for path in [format!("/v1/tenants/acme/credentials/{id}"), invite] {
        assert_eq!(plane.refused(keeper.asks(&plane, Method::DELETE, &path)).await, "forbidden", "{path}");
    }
    assert_eq!(plane.sql("select 1 from catalog.credentials where revoked_at is not null").await, 0);
    assert_eq!(plane.sql("select 1 from catalog.invites where revoked_at is not null").await, 0);
}
