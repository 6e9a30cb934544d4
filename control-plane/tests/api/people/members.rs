//! Members: nobody gives more than they hold, or takes from somebody who holds more.

use super::at;
use crate::fixture::Plane;
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_or_takes_more_than_they_hold() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let owner = plane.member("owner", "acme", "owner").await;
    let admin = plane.member("admin", "acme", "admin").await;
    let member = plane.member("member", "acme", "member").await;
    let to = |role: &str| json!({ "role": role });
    let patch = |who: &super::Person, whom: &super::Person, role: &str| {
        who.asks(&plane, Method::PATCH, &at("acme", whom)).json(&to(role))
    };
    for (role, request) in [
        ("an admin makes an owner", patch(&admin, &member, "owner")),
        ("an admin makes themselves owner", patch(&admin, &admin, "owner")),
        ("an admin demotes an owner", patch(&admin, &owner, "member")),
        ("an admin sends an owner away", admin.asks(&plane, Method::DELETE, &at("acme", &owner))),
        (
            "an admin invites an owner",
            admin.posts(&plane, "/v1/tenants/acme/invites", &json!({ "email": "x@y.z", "role": "owner" })),
        ),
        ("a member promotes themselves", patch(&member, &member, "admin")),
        ("a member sends somebody away", member.asks(&plane, Method::DELETE, &at("acme", &admin))),
        (
            "a member invites",
            member.posts(&plane, "/v1/tenants/acme/invites", &json!({ "email": "x@y.z", "role": "viewer" })),
        ),
        (
            "an admin adds without asking",
            admin.posts(&plane, "/v1/tenants/acme/members", &json!({ "user": owner.id, "role": "viewer" })),
        ),
    ] {
        assert_eq!(plane.refused(request).await, "forbidden", "{role}");
    }
    let changed = plane.expect(200, patch(&admin, &member, "viewer")).await;
    assert_eq!(
        (&changed["role"], &changed["permissions"]),
        (&json!("viewer"), &json!(["tenant.read", "members.read", "data.read"]))
    );
    plane.expect(200, patch(&owner, &admin, "owner")).await;
    plane.expect(200, patch(&admin, &owner, "member")).await;
    assert_eq!(plane.refused(patch(&owner, &admin, "member")).await, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_listed_in_pages_changed_on_top_of_what_was_read_and_go_by_themselves() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let owner = plane.member("owner", "acme", "owner").await;
    let mut all = vec![owner.id.clone()];
    for n in 0..4 {
        all.push(plane.member(&format!("m{n}"), "acme", "member").await.id);
    }
    let mut seen = Vec::new();
    let mut path = "/v1/tenants/acme/members?limit=2".to_owned();
    loop {
        let page = plane.expect(200, owner.asks(&plane, Method::GET, &path)).await;
        seen.extend(
            page["items"].as_array().unwrap().iter().map(|m| m["user"]["id"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/tenants/acme/members?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, all);

    let last = super::Person {
        id: all[4].clone(),
        email: "m3@example.com".into(),
        token: super::sign_in(&plane, "m3@example.com").await,
    };
    let path = at("acme", &last);
    let patch = |tag: &str| {
        owner.asks(&plane, Method::PATCH, &path).header("If-Match", tag).json(&json!({ "role": "viewer" }))
    };
    let shown = plane.send(owner.asks(&plane, Method::GET, &path)).await;
    assert_eq!(shown.headers["etag"], "\"1\"");
    assert_eq!(plane.refused(patch("\"7\"")).await, "stale-version");
    plane.expect(200, patch("\"1\"")).await;

    let tenant = plane.shown("acme").await["id"].as_str().unwrap().to_owned();
    let leave = || last.asks(&plane, Method::DELETE, &format!("/v1/session/tenants/{tenant}"));
    assert_eq!(plane.expect(200, leave()).await["role"], "viewer");
    assert_eq!(plane.refused(leave()).await, "tenant-not-found");
    assert_eq!(plane.refused(owner.asks(&plane, Method::GET, &path)).await, "member-not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_added_once_under_one_key_and_the_record_tells_who_did_it() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let (owner, bob) = (plane.member("owner", "acme", "owner").await, plane.person("bob").await);
    let body = json!({ "user": "bob@example.com", "role": "admin" });
    let add = || plane.post("/v1/tenants/acme/members", body.clone()).header("Idempotency-Key", "k");
    let (first, second) = (plane.expect(201, add()).await, plane.send(add()).await);
    assert_eq!((first, "true"), (second.body, second.headers["idempotency-replayed"].to_str().unwrap()));
    assert_eq!(plane.refused(plane.post("/v1/tenants/acme/members", body)).await, "member-exists");
    plane.expect(200, owner.asks(&plane, Method::DELETE, &at("acme", &bob))).await;
    let actor = format!("user:{}", owner.id);
    let told = plane.sql(&format!("select 1 from catalog.audit where action = 'member.remove' and actor = '{actor}' and tenant_id is not null")).await;
    assert_eq!(told, 1);
    for action in ["user.create", "session.create", "member.add"] {
        assert!(
            plane.sql(&format!("select 1 from catalog.audit where action = '{action}'")).await > 0,
            "{action}"
        );
    }
}
