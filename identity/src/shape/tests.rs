use super::*;
use crate::testing::issuer;
use serde_json::json;

fn said(issuer: &Issuer, claims: &Value) -> Result<(Option<TenantName>, Role), TokenError> {
    let claims: Claims = serde_json::from_value(claims.clone()).expect("claims");
    read(issuer, &claims).map(|named| (named.tenant, named.role))
}

fn slug(text: &str) -> Option<TenantName> {
    Some(TenantName::Slug(text.parse().expect("a slug")))
}

#[test]
fn the_active_tenant_has_to_be_one_of_the_users() {
    let issuer = issuer(ClaimShape::ActiveTenant, TenantForm::Slug);
    let tenants =
        json!([{"id": "acme", "role": "viewer", "permissions": []}, {"id": "other", "role": "owner"}]);
    let claims = |active: &str| json!({"active_tenant": active, "tenants": tenants});
    assert_eq!(said(&issuer, &claims("acme")), Ok((slug("acme"), Role::Viewer)));
    assert_eq!(said(&issuer, &claims("other")), Ok((slug("other"), Role::Owner)));
    assert_eq!(said(&issuer, &claims("third")), Err(TokenError::Tenant));
    assert_eq!(said(&issuer, &json!({"active_tenant": "acme"})), Err(TokenError::Claims));
    assert_eq!(said(&issuer, &json!({"tenants": tenants})), Err(TokenError::Tenant));
    let twice = json!({"active_tenant": "a", "tenants": [{"id": "a", "role": "viewer"}, {"id": "a", "role": "owner"}]});
    assert_eq!(said(&issuer, &twice), Err(TokenError::Tenant));
}

#[test]
fn clerks_organizations_are_read_in_both_versions() {
    let issuer = issuer(ClaimShape::Organization, TenantForm::External);
    let org = Some(TenantName::External("org_1".to_owned()));
    let first = json!({"org_id": "org_1", "org_role": "org:admin", "org_slug": "x"});
    assert_eq!(said(&issuer, &first), Ok((org.clone(), Role::Admin)));
    let second = json!({"v": 2, "o": {"id": "org_1", "rol": "member", "slg": "x"}});
    assert_eq!(said(&issuer, &second), Ok((org.clone(), Role::Member)));
    let both = json!({"org_id": "org_1", "org_role": "org:viewer", "o": {"id": "org_1", "rol": "admin"}});
    assert_eq!(said(&issuer, &both), Ok((org, Role::Viewer)));
    let torn = json!({"org_id": "org_1", "org_role": "org:viewer", "o": {"id": "org_2", "rol": "admin"}});
    assert_eq!(said(&issuer, &torn), Err(TokenError::Tenant));
    assert_eq!(said(&issuer, &json!({"sub": "user_1"})), Err(TokenError::Tenant));
}

#[test]
fn supabases_metadata_counts_only_where_users_cannot_write() {
    let issuer = issuer(ClaimShape::Tenant, TenantForm::Slug);
    let plain = json!({"tenant_id": "acme", "role": "admin"});
    assert_eq!(said(&issuer, &plain), Ok((slug("acme"), Role::Admin)));
    let supabase = json!({
        "role": "authenticated", "app_metadata": {"tenant_id": "acme", "role": "member"},
        "user_metadata": {"tenant_id": "other", "role": "owner"},
    });
    assert_eq!(said(&issuer, &supabase), Ok((slug("acme"), Role::Member)));
    let by_users = json!({"role": "authenticated", "user_metadata": {"tenant_id": "acme", "role": "owner"}});
    assert_eq!(said(&issuer, &by_users), Err(TokenError::Tenant));
    let torn = json!({"tenant_id": "acme", "role": "owner", "app_metadata": {"tenant_id": "other"}});
    assert_eq!(said(&issuer, &torn), Err(TokenError::Tenant));
}

#[test]
fn paths_lead_to_keycloaks_lists_and_auth0s_names() {
    let mut issuer = issuer(ClaimShape::Custom, TenantForm::Slug);
    issuer.tenant_claim = "https://acme.example/tenant".parse().ok();
    issuer.role_claim = "/realm_access/roles".parse().ok();
    issuer.roles = [("db-read".to_owned(), Role::Viewer), ("db-write".to_owned(), Role::Member)].into();
    let claims =
        |roles: Value| json!({"https://acme.example/tenant": "acme", "realm_access": {"roles": roles}});
    let of = |roles: Value| said(&issuer, &claims(roles)).map(|(_, role)| role);
    assert_eq!(of(json!(["offline_access", "db-read"])), Ok(Role::Viewer));
    assert_eq!(of(json!(["db-read", "db-write"])), Ok(Role::Member), "the mightiest of those granted");
    assert_eq!(of(json!("db-write")), Ok(Role::Member));
    assert_eq!(of(json!(["owner"])), Err(TokenError::Role), "with a map, our own words are not the issuer's");
    issuer.default_role = Some(Role::Viewer);
    assert_eq!(said(&issuer, &claims(json!([]))), Ok((slug("acme"), Role::Viewer)));
}

#[test]
fn a_tenants_own_issuer_need_not_name_it() {
    let mut issuer = issuer(ClaimShape::Tenant, TenantForm::Slug);
    issuer.tenant = Some(TenantId::generate());
    assert_eq!(said(&issuer, &json!({"role": "viewer"})), Ok((None, Role::Viewer)));
    assert_eq!(
        said(&issuer, &json!({"role": "viewer", "tenant_id": "acme"})),
        Ok((slug("acme"), Role::Viewer))
    );
}

#[test]
fn a_tenants_name_is_text_of_the_form_agreed_on() {
    let by_slug = issuer(ClaimShape::Tenant, TenantForm::Slug);
    for bad in [json!(1), json!(["acme"]), json!(""), json!({"id": "acme"}), json!(true)] {
        assert_eq!(
            said(&by_slug, &json!({"tenant_id": bad, "role": "owner"})),
            Err(TokenError::Claims),
            "{bad}"
        );
    }
    assert_eq!(said(&by_slug, &json!({"tenant_id": "No Slug", "role": "owner"})), Err(TokenError::Tenant));
    let by_id = issuer(ClaimShape::Tenant, TenantForm::Id);
    assert_eq!(said(&by_id, &json!({"tenant_id": "acme", "role": "owner"})), Err(TokenError::Tenant));
    let id = TenantId::generate();
    let good = json!({"tenant_id": id, "role": "owner"});
    assert_eq!(said(&by_id, &good), Ok((Some(TenantName::Id(id)), Role::Owner)));
}
