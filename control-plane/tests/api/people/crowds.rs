//! What one of a tenant's people, or very many of them, may cost the others.

use super::refusals::{issued, refused};
use crate::fixture::Plane;
use serde_json::json;

/// Ends `each` sessions of each of `users`, a condition, that had tokens for acme.
async fn come_and_go(plane: &Plane, users: &str, each: u32) {
    let sql = format!(
        "insert into catalog.sessions (id, user_id, token_hash, method, expires_at)
           select gen_random_uuid(), u.id, sha256(gen_random_uuid()::text::bytea), 'password', now() + interval '1 hour'
           from catalog.users u, generate_series(1, {each}) where {users};
         insert into catalog.session_tenants (session_id, tenant_id, issued_at)
           select s.id, t.id, now() from catalog.sessions s join catalog.users u on u.id = s.user_id, catalog.tenants t
           where {users} and t.slug = 'acme' on conflict do nothing;
         update catalog.sessions set revoked_at = now() where id in (
           select s.id from catalog.sessions s join catalog.users u on u.id = s.user_id
           where {users} and s.revoked_at is null)"
    );
    plane.sql(&sql).await;
}

async fn crowd(plane: &Plane, count: u32) {
    let sql = format!(
        "insert into catalog.users (id, email, display_name)
           select gen_random_uuid(), 'crowd' || n || '@example.com', 'Crowd' from generate_series(1, {count}) n
           on conflict do nothing"
    );
    plane.sql(&sql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_and_goes_without_end_troubles_nobody_else() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let (ann, bob) =
        (plane.member("ann", "acme", "viewer").await, plane.member("bob", "acme", "owner").await);
    let (first, others) = (issued(&plane, &ann, "acme").await, issued(&plane, &bob, "acme").await);
    come_and_go(&plane, "u.email = 'ann@example.com'", 400).await;
    let route = plane.catalog.route_by_id(others.tenant).await.unwrap().unwrap();
    assert!(route.revoked.len() <= 65, "{}", route.revoked.len());
    assert!(refused(&plane, &first).await);
    assert!(!refused(&plane, &others).await);
}

/// Refusals are looked for among each other: as many as there are members would take for ever.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_about_very_many_is_told_once() {
    let plane = Plane::start().await;
    plane.tenant("acme").await;
    let body = json!({ "name": "staff", "permissions": ["data.read"] });
    plane.expect(201, plane.post("/v1/tenants/acme/roles", body)).await;
    crowd(&plane, 40).await;
    plane
        .sql(
            "insert into catalog.memberships (tenant_id, user_id, custom_role)
               select r.tenant_id, u.id, r.id from catalog.users u, catalog.custom_roles r",
        )
        .await;
    let body = json!({ "permissions": ["data.read", "tenant.read"] });
    plane.expect(200, plane.patch("/v1/tenants/acme/roles/staff", body)).await;
    assert_eq!(plane.sql("select 1 from catalog.token_revocations").await, 1);
    plane
        .sql(
            "delete from catalog.token_revocations; update catalog.tenants set state = 'purging';
             delete from catalog.memberships",
        )
        .await;
    assert_eq!(plane.sql("select 1 from catalog.token_revocations").await, 0, "nobody is let in any more");
}
