//! Roles of a tenant's own.

use super::at;
use crate::fixture::Plane;
use reqwest::Method;
use serde_json::json;

const ROLES: &str = "/v1/tenants/acme/roles";

#[tokio::test(flavor = "multi_thread")]
async fn a_role_of_ones_own_permits_what_its_list_says() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let role = json!({ "name": "support", "permissions": ["members.read", "members.manage", "data.read"] });
    plane.expect(201, plane.post(ROLES, role.clone())).await;
    let eve = plane.member("eve", "acme", "support").await;
    let bob = plane.member("bob", "acme", "owner").await;
    assert_eq!(eve.switch(&plane, "acme").await["access"], "read");
    let joins = |role: &str| json!({ "email": "new@example.com", "role": role });
    plane.expect(201, eve.posts(&plane, "/v1/tenants/acme/invites", &joins("support"))).await;
    for more in ["member", "viewer", "owner"] {
        let request = eve.posts(&plane, "/v1/tenants/acme/invites", &joins(more));
        assert_eq!(
            plane.refused(request).await,
            "forbidden",
            "{more} permits something that support does not"
        );
    }
    let wider = json!({ "name": "wider", "permissions": ["data.read", "data.write"] });
    assert_eq!(plane.refused(eve.posts(&plane, ROLES, &wider)).await, "forbidden");
    let grown = json!({ "permissions": ["members.read", "members.manage", "data.read", "data.write"] });
    let grow =
        |who: &super::Person| who.asks(&plane, Method::PATCH, &format!("{ROLES}/support")).json(&grown);
    assert_eq!(plane.refused(grow(&eve)).await, "forbidden");
    plane.expect(200, grow(&bob)).await;
    assert_eq!(eve.switch(&plane, "acme").await["access"], "write");
    let none = json!({ "permissions": ["members.read"] });
    plane.expect(200, bob.asks(&plane, Method::PATCH, &format!("{ROLES}/support")).json(&none)).await;
    let request = eve.posts(&plane, "/v1/session/switch", &json!({ "tenant": "acme" }));
    assert_eq!(plane.refused(request).await, "no-data-access");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_goes_when_nobody_has_it_and_each_bad_one_is_refused_for_its_own_reason() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    plane.tenant("other").await;
    let role = |name: &str, permissions: &[&str]| json!({ "name": name, "permissions": permissions });
    plane.expect(201, plane.post(ROLES, role("support", &["data.read"]))).await;
    for (expected, body) in [
        ("role-exists", role("support", &["data.read"])),
        ("invalid-field", role("owner", &["data.read"])),
        ("invalid-field", role("A", &["data.read"])),
        ("invalid-field", role("none", &[])),
        ("invalid-field", role("odd", &["data.rule"])),
        ("invalid-field", role("blind", &["data.write"])),
    ] {
        assert_eq!(plane.refused(plane.post(ROLES, body.clone())).await, expected, "{body}");
    }
    let eve = plane.member("eve", "acme", "support").await;
    let stranger = json!({ "user": eve.id, "role": "support" });
    assert_eq!(plane.refused(plane.post("/v1/tenants/other/members", stranger)).await, "role-unknown");
    let path = format!("{ROLES}/support");
    assert_eq!(plane.refused(plane.delete(&path)).await, "role-in-use");
    plane.expect(200, plane.patch(&at("acme", &eve), json!({ "role": "viewer" }))).await;
    plane.expect(200, plane.delete(&path)).await;
    assert_eq!(plane.refused(plane.delete(&path)).await, "role-not-found");
    let listed = plane.expect(200, plane.get(ROLES)).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 4, "those that every tenant has");
}
