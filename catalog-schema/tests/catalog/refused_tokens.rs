//! Gateway tokens that are refused before their time: what gateways are told of, for how long, and what they may ask.

use crate::fixture::Fixture;
use catalog_schema::TokenRef;
use jiff::Timestamp;
use tenancy::{SessionId, TenantId, UserId};
use tokio_postgres::Client;

/// Somebody with a session that has a token for a tenant.
async fn person(raw: &Client, tenant: TenantId, name: &str) -> TokenRef {
    let (user, session) = (UserId::generate(), SessionId::generate());
    let sql = format!(
        "insert into catalog.users (id, email, display_name) values ('{user}', '{name}@example.com', '{name}');
         insert into catalog.memberships (tenant_id, user_id, role) values ('{tenant}', '{user}', 'member')"
    );
    raw.batch_execute(&sql).await.unwrap();
    session_of(raw, tenant, user, session).await
}

async fn session_of(raw: &Client, tenant: TenantId, user: UserId, session: SessionId) -> TokenRef {
    let sql = format!(
        "insert into catalog.sessions (id, user_id, token_hash, method, expires_at)
           values ('{session}', '{user}', sha256('{session}'), 'password', now() + interval '12 hours');
         insert into catalog.session_tenants (session_id, tenant_id, issued_at)
           values ('{session}', '{tenant}', date_trunc('second', now()))"
    );
    raw.batch_execute(&sql).await.unwrap();
    let issued: i64 = raw
        .query_one("select extract(epoch from date_trunc('second', now()))::bigint", &[])
        .await
        .unwrap()
        .get(0);
    TokenRef { tenant, user, session, issued_at: Timestamp::from_second(issued).unwrap() }
}

/// Signs people in and out: `each` times each of those whose address is like this; makes `count` of them first.
async fn come_and_go(raw: &Client, tenant: TenantId, name: &str, count: u32, each: u32) {
    let sql = format!(
        "insert into catalog.users (id, email, display_name)
           select gen_random_uuid(), '{name}' || n || '@example.com', 'Crowd' from generate_series(1, {count}) n
           on conflict do nothing;
         with s as (
           insert into catalog.sessions (id, user_id, token_hash, method, expires_at)
           select gen_random_uuid(), u.id, sha256(gen_random_uuid()::text::bytea), 'password', now() + interval '12 hours'
           from catalog.users u, generate_series(1, {each}) where u.email like '{name}%' returning id)
         insert into catalog.session_tenants (session_id, tenant_id, issued_at) select id, '{tenant}', now() from s;
         update catalog.sessions s set revoked_at = now() from catalog.users u
           where u.id = s.user_id and u.email like '{name}%' and s.revoked_at is null
             and s.id in (select session_id from catalog.session_tenants where issued_at = now())"
    );
    raw.batch_execute(&format!("begin; {sql}; commit")).await.unwrap();
}

/// Half an hour passes.
async fn time_passes(raw: &Client) {
    let aged = "update catalog.token_revocations set told_until = told_until - interval '30 minutes',
                  expires_at = expires_at - interval '30 minutes'";
    raw.batch_execute(aged).await.unwrap();
}

async fn is_refused(fixture: &Fixture, token: TokenRef) -> bool {
    let route = fixture.catalog.route_by_id(token.tenant).await.unwrap().unwrap();
    assert!(route.revoked.len() <= 1_024, "{}", route.revoked.len());
    route.refuses_token(token.user, token.session, token.issued_at)
}

async fn stands(fixture: &Fixture, token: TokenRef) -> bool {
    fixture.catalog.tokens_standing(&[token]).await.unwrap()[0]
}

#[tokio::test]
async fn people_who_sign_out_all_day_end_nobody_elses_session() {
    let fixture = Fixture::new().await;
    let (tenant, raw) = (fixture.active_tenant("acme").await, fixture.raw().await);
    let stays = person(&raw, tenant, "stays").await;
    for crowd in ["early", "noon", "late"] {
        come_and_go(&raw, tenant, crowd, 500, 1).await;
        assert!(!is_refused(&fixture, stays).await, "{crowd}");
        time_passes(&raw).await;
    }
    let route = fixture.catalog.route_by_id(tenant).await.unwrap().unwrap();
    assert_eq!(route.revoked, [], "nobody could show such a token any more");
    come_and_go(&raw, tenant, "many", 1_100, 1).await;
    assert!(is_refused(&fixture, stays).await, "nobody in particular, when there are too many at once");
}

#[tokio::test]
async fn a_script_that_signs_out_all_day_leaves_its_users_other_sessions_alone() {
    let fixture = Fixture::new().await;
    let (tenant, raw) = (fixture.active_tenant("acme").await, fixture.raw().await);
    let stays = person(&raw, tenant, "script").await;
    // Only its new sessions end: the condition looks at those of the same transaction.
    for _ in 0..4 {
        come_and_go(&raw, tenant, "script", 0, 60).await;
        assert!(!is_refused(&fixture, stays).await);
        time_passes(&raw).await;
    }
    come_and_go(&raw, tenant, "script", 0, 70).await;
    assert!(is_refused(&fixture, stays).await, "who comes and goes without end has to ask anew");
}

#[tokio::test]
async fn who_fills_the_room_makes_room() {
    let fixture = Fixture::new().await;
    let (tenant, raw) = (fixture.active_tenant("acme").await, fixture.raw().await);
    let [stays, few] = [person(&raw, tenant, "stays").await, person(&raw, tenant, "few").await];
    come_and_go(&raw, tenant, "few", 0, 3).await;
    come_and_go(&raw, tenant, "heavy", 30, 60).await;
    assert!(!is_refused(&fixture, stays).await);
    assert!(!is_refused(&fixture, few).await, "others have ended more");
    let heavy = "select 1 from catalog.token_revocations r join catalog.users u on u.id = r.user_id
                 where u.email like 'heavy%' and r.session_id is null";
    assert!(
        !raw.query(heavy, &[]).await.unwrap().is_empty(),
        "one for a user in place of one for each session"
    );
}

#[tokio::test]
async fn whoever_was_cut_off_learns_of_each_token_by_asking() {
    let fixture = Fixture::new().await;
    let (tenant, raw) = (fixture.active_tenant("acme").await, fixture.raw().await);
    let people = ["stays", "out", "demoted", "disabled", "removed"];
    let mut tokens = Vec::new();
    for name in people {
        tokens.push(person(&raw, tenant, name).await);
    }
    let [stays, out, demoted, disabled, removed] = tokens[..] else { panic!("five") };
    assert_eq!(fixture.catalog.tokens_standing(&tokens).await.unwrap(), [true; 5]);
    for sql in [
        format!("update catalog.sessions set revoked_at = now() where id = '{}'", out.session),
        format!("update catalog.memberships set role = 'viewer' where user_id = '{}'", demoted.user),
        format!("update catalog.users set disabled_at = now() where id = '{}'", disabled.user),
        format!("delete from catalog.memberships where user_id = '{}'", removed.user),
    ] {
        raw.batch_execute(&sql).await.unwrap();
    }
    time_passes(&raw).await;
    fixture.catalog.prune(&catalog_schema::Retention::default()).await.unwrap();
    for token in [out, demoted, disabled, removed] {
        assert!(!is_refused(&fixture, token).await, "no such token could be shown any more");
        assert!(!stands(&fixture, token).await, "what it has opened does not stay");
    }
    let mixed = [removed, stays, out];
    assert_eq!(fixture.catalog.tokens_standing(&mixed).await.unwrap(), [false, true, false]);
    assert!(stands(&fixture, stays).await && !is_refused(&fixture, stays).await);
    let ended = format!("update catalog.sessions set expires_at = now() where id = '{}'", stays.session);
    raw.batch_execute(&ended).await.unwrap();
    assert!(!stands(&fixture, stays).await);
}

/// Any statement against the catalog may take five seconds. One refusal for each session in each tenant would take longer.
#[tokio::test]
async fn an_account_with_all_its_sessions_in_very_many_tenants_ends_in_time() {
    let fixture = Fixture::new().await;
    let raw = fixture.raw().await;
    let mut tx = fixture.tx().await;
    for number in 0..300 {
        tx.tenant_create(&crate::fixture::tenant(&format!("t{number}"))).await.unwrap();
    }
    tx.commit().await.unwrap();
    let rows = async || {
        let sql =
            "select count(*), count(session_id), count(distinct tenant_id) from catalog.token_revocations";
        let row = raw.query_one(sql, &[]).await.unwrap();
        (row.get::<_, i64>(0), row.get::<_, i64>(1), row.get::<_, i64>(2))
    };
    let busy = UserId::generate();
    for end in ["update catalog.users set disabled_at = now()", "delete from catalog.users"] {
        let sql = format!(
            "insert into catalog.users (id, email, display_name) values ('{busy}', 'busy@example.com', 'Busy')
               on conflict do nothing;
             update catalog.users set disabled_at = null;
             insert into catalog.memberships (tenant_id, user_id, role) select id, '{busy}', 'member' from catalog.tenants
               on conflict do nothing;
             delete from catalog.sessions;
             delete from catalog.token_revocations;
             insert into catalog.sessions (id, user_id, token_hash, method, expires_at)
               select gen_random_uuid(), '{busy}', sha256(n::text::bytea), 'password', now() + interval '1 hour'
               from generate_series(1, 50) n;
             insert into catalog.session_tenants select s.id, t.id, now() from catalog.sessions s, catalog.tenants t"
        );
        raw.batch_execute(&sql).await.unwrap();
        raw.batch_execute(&format!("set statement_timeout = '5s'; {end}; reset statement_timeout"))
            .await
            .unwrap();
        assert_eq!(rows().await, (300, 0, 300), "{end}");
    }
    // What follows is told for itself again.
    assert!(
        raw.query("select 1 from catalog.sessions where revoked_at is null", &[]).await.unwrap().is_empty()
    );
}

/// What has ended is kept for those who ask what became of it, and not for ever.
#[tokio::test]
async fn sessions_that_are_over_are_forgotten_in_time() {
    let fixture = Fixture::new().await;
    let (tenant, raw) = (fixture.active_tenant("acme").await, fixture.raw().await);
    let mut tokens = Vec::new();
    for name in ["lasting", "revoked", "expired", "revoked-long-ago", "expired-long-ago"] {
        tokens.push(person(&raw, tenant, name).await);
    }
    for (token, end, days) in [
        (tokens[1], "revoked_at", 29),
        (tokens[2], "expires_at", 29),
        (tokens[3], "revoked_at", 31),
        (tokens[4], "expires_at", 31),
    ] {
        let end = format!(
            "update catalog.sessions set {end} = now() - interval '{days} days' where id = '{}'",
            token.session
        );
        raw.batch_execute(&end).await.unwrap();
    }
    fixture.catalog.prune(&catalog_schema::Retention::default()).await.unwrap();
    let kept = async |table: &str, column: &str| {
        let sql = format!("select {column} from catalog.{table}");
        let rows = raw.query(&sql, &[]).await.unwrap();
        let ids: Vec<uuid::Uuid> = rows.iter().map(|row| row.get(0)).collect();
        tokens.iter().map(|token| ids.contains(&token.session.as_uuid())).collect::<Vec<_>>()
    };
    assert_eq!(kept("sessions", "id").await, [true, true, true, false, false]);
    assert_eq!(kept("session_tenants", "session_id").await, [true, false, false, false, false]);
}
