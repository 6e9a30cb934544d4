//! Identity providers that tenants name are asked on a stranger's word.

use crate::fixture::Plane;
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_has_few_providers_asked_and_hears_little_of_what_they_say() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let admin = plane.member("admin", "acme", "admin").await;
    let path = "/v1/tenants/acme/issuers";
    let unknown = json!({ "iss": "https://127.0.0.1:1/", "audiences": ["a"] });
    for _ in 0..10 {
        let answer = plane.send(admin.posts(&plane, path, &unknown)).await;
        assert_eq!(answer.problem(), "issuer-unreachable");
        assert_eq!(answer.body["detail"], "nothing of use came from there");
    }
    assert_eq!(plane.refused(admin.posts(&plane, path, &unknown)).await, "too-many-inquiries");
    let known = json!({ "iss": "https://id.example.com/", "audiences": ["a"], "jwks_url": "https://id.example.com/jwks" });
    let made = plane.expect(201, admin.posts(&plane, path, &known)).await;
    let test = format!("{path}/{}/test", made["id"].as_str().unwrap());
    assert_eq!(plane.refused(admin.posts(&plane, &test, &json!({}))).await, "too-many-inquiries");
    let by_operator = plane.request(Method::POST, "/v1/issuers").json(&unknown);
    assert_eq!(plane.refused(by_operator).await, "issuer-unreachable", "the operator's are not counted");
}

/// Whoever manages issuers and holds nothing of the data neither gives it by an issuer nor takes it from those who have it
/// by one.
#[tokio::test(flavor = "multi_thread")]
async fn who_holds_less_than_an_issuer_gives_does_not_remove_it() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let role = json!({ "name": "broker", "permissions": ["issuers.manage"] });
    plane.expect(201, plane.post("/v1/tenants/acme/roles", role)).await;
    let (broker, owner) =
        (plane.member("eve", "acme", "broker").await, plane.member("ann", "acme", "owner").await);
    let body = json!({
        "iss": "https://id.example.com/", "audiences": ["tenantry"], "jwks_url": "https://id.example.com/jwks",
    });
    let made = plane.expect(201, plane.post("/v1/tenants/acme/issuers", body)).await;
    let path = format!("/v1/tenants/acme/issuers/{}", made["id"].as_str().unwrap());
    assert_eq!(plane.refused(broker.asks(&plane, Method::DELETE, &path)).await, "forbidden");
    plane.expect(200, plane.get(&path)).await;
    plane.expect(200, owner.asks(&plane, Method::DELETE, &path)).await;
}
