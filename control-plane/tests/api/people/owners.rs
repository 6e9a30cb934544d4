//! A tenant keeps an owner who can sign in.

use super::at;
use crate::fixture::Plane;
use reqwest::{Method, RequestBuilder};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_last_owner_cannot_leave_be_demoted_be_disabled_or_be_deleted() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let ann = plane.member("ann", "acme", "owner").await;
    plane.member("bob", "acme", "admin").await;
    let tenant = plane.shown("acme").await["id"].as_str().unwrap().to_owned();
    let user = format!("/v1/users/{}", ann.id);
    let ways = || -> Vec<(&str, RequestBuilder)> {
        vec![
            ("leaves", ann.asks(&plane, Method::DELETE, &format!("/v1/session/tenants/{tenant}"))),
            ("sends themselves away", ann.asks(&plane, Method::DELETE, &at("acme", &ann))),
            (
                "demotes themselves",
                ann.asks(&plane, Method::PATCH, &at("acme", &ann)).json(&json!({ "role": "admin" })),
            ),
            ("is demoted", plane.patch(&at("acme", &ann), json!({ "role": "viewer" }))),
            ("is sent away", plane.delete(&at("acme", &ann))),
            ("is disabled", plane.patch(&user, json!({ "disabled": true }))),
            ("is deleted", plane.delete(&user)),
        ]
    };
    for (way, request) in ways() {
        let answer = plane.send(request).await;
        assert_eq!((answer.status, answer.problem()), (409, "last-owner"), "{way}");
    }
    // An owner whom nothing lets in does not count.
    let eve = plane.member("eve", "acme", "owner").await;
    plane.expect(200, plane.patch(&format!("/v1/users/{}", eve.id), json!({ "disabled": true }))).await;
    for (way, request) in ways() {
        assert_eq!(plane.send(request).await.problem(), "last-owner", "{way}");
    }
    plane.member("joe", "acme", "owner").await;
    plane.expect(200, plane.delete(&user)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_owners_who_go_at_once_one_stays() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let roots = plane.member("root", "acme", "owner").await;
    for round in 0..6 {
        let (a, b) = (
            plane.member(&format!("a{round}"), "acme", "owner").await,
            plane.member(&format!("b{round}"), "acme", "owner").await,
        );
        if round == 0 {
            plane.expect(200, plane.delete(&at("acme", &roots))).await;
        } else {
            plane
                .sql(&format!(
                    "alter table catalog.memberships disable trigger memberships_before_change;
                 delete from catalog.memberships where user_id not in ('{}', '{}');
                 alter table catalog.memberships enable trigger memberships_before_change",
                    a.id, b.id
                ))
                .await;
        }
        let go = |who: &super::Person, way: usize| match way % 4 {
            0 => plane.delete(&at("acme", who)),
            1 => plane.patch(&at("acme", who), json!({ "role": "member" })),
            2 => plane.patch(&format!("/v1/users/{}", who.id), json!({ "disabled": true })),
            _ => plane.delete(&format!("/v1/users/{}", who.id)),
        };
        let (one, two) = tokio::join!(plane.send(go(&a, round)), plane.send(go(&b, round + 1)));
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "round {round}: {one:?} {two:?}");
        let owners = plane
            .sql(
                "select 1 from catalog.memberships m join catalog.users u on u.id = m.user_id
                                where m.role = 'owner' and u.disabled_at is null",
            )
            .await;
        assert_eq!(owners, 1, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_who_cannot_sign_in_does_not_count() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let ann = plane.member("ann", "acme", "owner").await;
    let without = json!({ "email": "idp@example.com", "display_name": "Without" });
    let without =
        plane.expect(201, plane.post("/v1/users", without)).await["id"].as_str().unwrap().to_owned();
    let body = json!({ "user": without, "role": "owner" });
    plane.expect(201, plane.post("/v1/tenants/acme/members", body)).await;
    assert_eq!(plane.refused(plane.delete(&at("acme", &ann))).await, "last-owner");
    let identities = format!("/v1/users/{without}/identities");
    let identity = json!({ "issuer": "https://login.example.com/", "subject": "one" });
    plane.expect(200, plane.post(&identities, identity)).await;
    plane.expect(200, plane.delete(&at("acme", &ann))).await;
    let last = format!("{identities}?issuer=https%3A%2F%2Flogin.example.com%2F&subject=one");
    assert_eq!(plane.refused(plane.delete(&last)).await, "last-owner");
    plane.member("bob", "acme", "owner").await;
    plane.expect(200, plane.delete(&last)).await;
    plane.expect(200, plane.delete(&format!("/v1/users/{without}"))).await;
}

/// Whoever is disabled while being made an owner is no owner who can sign in when the other one leaves.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_being_disabled_is_waited_for_before_they_are_made_an_owner() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let ann = plane.member("ann", "acme", "owner").await;
    let bob = plane.member("bob", "acme", "member").await;
    let (mut beside, connection) =
        tokio_postgres::connect(plane.catalog_dsn.expose(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let holder = beside.transaction().await.unwrap();
    holder
        .execute("update catalog.users set disabled_at = now() where email = 'bob@example.com'", &[])
        .await
        .unwrap();
    let promoted = plane.expect(200, plane.patch(&at("acme", &bob), json!({ "role": "owner" })));
    let disabled = async {
        crate::fixture::eventually("the promotion waits for the user", async || {
            (plane.sql("select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'").await > 0).then_some(())
        })
        .await;
        holder.commit().await.unwrap();
    };
    tokio::join!(promoted, disabled);
    assert_eq!(plane.refused(plane.delete(&at("acme", &ann))).await, "last-owner");
}
