//! What a database holds, so that two looks can be compared.

use super::STACK;
use harness::Tenant;

/// All that a statement could leave behind: rows, sequences, large objects, and everything that the system's catalogs say.
/// What backs a role's default privileges for itself is left out: without anything of its own these are for nothing.
const LOOK: &str = r#"
    select jsonb_build_object(
      't', (select jsonb_agg(n order by n) from t),
      'other', (select jsonb_agg(to_jsonb(a) order by id) from "Other one"."A table" a),
      'm', (select jsonb_agg(n) from m),
      'parted', (select jsonb_agg(n) from parted),
      'sequences', (select jsonb_agg(to_jsonb(s) order by schemaname, sequencename) from pg_sequences s),
      'large', (select jsonb_agg(to_jsonb(l)) from pg_largeobject_metadata l),
      'pages', (select jsonb_agg(encode(data, 'hex')) from pg_largeobject),
      'marker', (select jsonb_agg(to_jsonb(m)) from tenantry.marker m),
      'relations', (select jsonb_agg(jsonb_build_array(oid, relname, relnamespace, relacl, relowner, relnatts) order by oid)
                    from pg_class),
      'functions', (select jsonb_agg(jsonb_build_array(oid, proname, proacl, proowner) order by oid) from pg_proc),
      'types', (select count(*) from pg_type),
      'schemas', (select jsonb_agg(to_jsonb(n) order by oid) from pg_namespace n),
      'comments', (select count(*) from pg_description),
      'defaults', (select jsonb_agg(to_jsonb(d) order by oid) from pg_default_acl d
                   where pg_get_userbyid(d.defaclrole) = $1),
      'database', (select to_jsonb(d) - 'datfrozenxid' - 'datminmxid' from pg_database d where datname = current_database()),
      'members', (select count(*) from pg_auth_members where pg_get_userbyid(member) = any($2) or pg_get_userbyid(roleid) = any($2)),
      'roles', (select jsonb_agg(to_jsonb(r) - 'rolconfig' order by oid) from pg_roles r where rolname = any($2))
    )::text"#;

/// What the tenant's database holds now.
pub(super) async fn of(tenant: &Tenant) -> String {
    let roles = STACK.roles(tenant).await;
    let inside = STACK.inside(tenant).await;
    let row = inside.query_one(LOOK, &[&roles[0], &roles.as_slice()]).await;
    row.expect("an administrator may look").get(0)
}
