//! Very many tenants, as the catalog has them: rows only, without databases. A gateway cannot tell before it connects.

use catalog_schema::MasterKey;
use harness::Stack;
use pgwire::scram::ClientKeys;
use tenancy::{Access, Secret, TenantId};

/// Rows of one statement.
const BATCH: usize = 1_000;

/// Adds tenants to the catalog, spread over its clusters in `eu`, each with a password and an API key, and returns
/// their slugs. There must be one tenant whose password can be copied. No gateway is notified.
///
/// # Panics
/// When the catalog refuses.
pub async fn add(stack: &Stack, count: usize) -> Vec<String> {
    let master_key = std::fs::read_to_string(stack.gateway_config().with_file_name("master-key"));
    let master_key = Secret::new(master_key.expect("the stack has written it").trim().to_owned());
    let master_key = MasterKey::from_base64(&master_key).expect("a key");
    let catalog = stack.catalog_admin().await;
    // No trigger has to count, to audit or to notify anybody.
    catalog.batch_execute("set session_replication_role = replica").await.expect("an administrator may");
    let mut slugs = Vec::with_capacity(count);
    while slugs.len() < count {
        let tenants: Vec<TenantId> = (slugs.len()..count).take(BATCH).map(|_| TenantId::generate()).collect();
        let sealed: Vec<Vec<u8>> =
            tenants.iter().map(|id| sealed_keys(&master_key, *id, Access::Owner)).collect();
        let names: Vec<String> =
            (0..tenants.len()).map(|row| format!("crowd-{}", slugs.len() + row)).collect();
        let ids: Vec<_> = tenants.iter().map(|id| id.as_uuid()).collect();
        catalog.execute(TENANTS, &[&ids, &names]).await.expect("good tenants");
        catalog.execute(PLACEMENTS, &[&ids, &sealed]).await.expect("good placements");
        for access in Access::GRANTED {
            let sealed: Vec<Vec<u8>> =
                tenants.iter().map(|id| sealed_keys(&master_key, *id, access)).collect();
            catalog.execute(ROLES, &[&ids, &sealed, &access.as_str()]).await.expect("good roles");
        }
        catalog.execute(PASSWORDS, &[&ids]).await.expect("good credentials");
        catalog.execute(KEYS, &[&ids]).await.expect("good credentials");
        slugs.extend(names);
    }
    slugs
}

const TENANTS: &str = "insert into catalog.tenants (id, slug, display_name, region, allowed_regions, plan, isolation, state)
    select id, slug, slug, 'eu', array['eu'], 'standard', 'database', 'active' from unnest($1::uuid[], $2::text[]) as t(id, slug)";

const PLACEMENTS: &str = "with clusters as
      (select array_agg(id order by name) as ids from catalog.clusters where region = 'eu')
    insert into catalog.placements (tenant_id, cluster_id, database_name, role_name, keys)
    select t.id, c.ids[1 + t.number % cardinality(c.ids)], 't_' || replace(t.id::text, '-', ''),
      't_' || replace(t.id::text, '-', ''), t.keys
    from unnest($1::uuid[], $2::bytea[]) with ordinality as t(id, keys, number), clusters c";

const ROLES: &str = "insert into catalog.placement_roles (tenant_id, access, role_name, keys, is_ready)
    select id, $3, 't_' || $3 || replace(id::text, '-', ''), keys, true from unnest($1::uuid[], $2::bytea[]) as t(id, keys)";

const PASSWORDS: &str = "insert into catalog.credentials (id, tenant_id, kind, user_name, verifier, role)
    select gen_random_uuid(), id, 'password', 'app',
      (select verifier from catalog.credentials where verifier is not null limit 1), 'owner' from unnest($1::uuid[]) as t(id)";

const KEYS: &str = "insert into catalog.credentials (id, tenant_id, kind, key_prefix, key_hash, role)
    select gen_random_uuid(), id, 'api-key', 'tnt_abcd', sha256(convert_to(id::text, 'UTF8')), 'owner'
    from unnest($1::uuid[]) as t(id)";

/// The name under which the catalog seals them is its own matter; it is the same for every release.
fn sealed_keys(key: &MasterKey, tenant: TenantId, access: Access) -> Vec<u8> {
    let (keys, _verifier) = ClientKeys::generate().expect("randomness");
    let context = match access {
        Access::Owner => format!("role-keys:{tenant}"),
        Access::Write | Access::Read => format!("role-keys:{tenant}:{access}"),
    };
    key.seal_bytes(&context, &keys.to_bytes()).expect("randomness")
}

/// Gives a tenant many users, past the bound that the API keeps.
///
/// # Panics
/// When the catalog refuses.
pub async fn add_users(stack: &Stack, slug: &str, count: i32) {
    let sql = "insert into catalog.credentials (id, tenant_id, kind, user_name, verifier, role)
        select gen_random_uuid(), t.id, 'password', 'user-' || n,
          (select verifier from catalog.credentials where verifier is not null limit 1), 'member'
        from generate_series(1, $2) n, catalog.tenants t where t.slug = $1";
    stack.catalog_admin().await.execute(sql, &[&slug, &count]).await.expect("good credentials");
}

/// Has a gateway look the tenants up, as their first clients would.
///
/// # Panics
/// When it does not know one.
pub async fn look_up(admin: &str, slugs: &[String]) {
    let http = reqwest::Client::new();
    for slug in slugs {
        let answer = http.get(format!("{admin}/routes/{slug}")).send().await.expect("the gateway answers");
        assert!(answer.status().is_success(), "{slug}: {}", answer.status());
        answer.bytes().await.expect("a body");
    }
}
