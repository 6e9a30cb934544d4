//! That requests by people and keys wait for one another and never for each other.

use crate::fixture::{Fixture, api_key, eventually};
use catalog_schema::{NewSession, NewUser, SessionMethod, UserPatch};
use std::time::Duration;
use tenancy::{MemberRole, Role, SessionId, UserId};

async fn user(fixture: &Fixture) -> (UserId, SessionId) {
    let (id, session) = (UserId::generate(), SessionId::generate());
    let email = "ann@example.com".parse().unwrap();
    let new =
        NewUser { id, email, display_name: "Ann".to_owned(), password_hash: None, made_by_invite_of: None };
    let lasts = Duration::from_secs(3_600);
    let mut tx = fixture.tx().await;
    tx.user_create(&new).await.unwrap();
    let begun =
        NewSession { id: session, user: id, method: SessionMethod::Password, token_hash: [7; 32], lasts };
    tx.session_create(&begun).await.unwrap();
    tx.commit().await.unwrap();
    (id, session)
}

/// Whoever ends a session waits behind the request that runs, and before those that come later: their locks are none that
/// can be shared.
#[tokio::test]
async fn requests_of_one_session_or_key_take_turns() {
    let fixture = Fixture::new().await;
    let (user, session) = user(&fixture).await;
    let key = api_key(fixture.active_tenant("acme").await, [9; 32]);
    let mut tx = fixture.tx().await;
    tx.credential_create(&key).await.unwrap();
    tx.commit().await.unwrap();
    let mut request = fixture.tx().await;
    assert!(
        request.session_stands(user, session).await.unwrap() && request.key_stands(key.id).await.unwrap()
    );
    let raw = fixture.raw().await;
    raw.batch_execute("set lock_timeout = '50ms'").await.unwrap();
    for (table, id) in
        [("users", user.as_uuid()), ("sessions", session.as_uuid()), ("credentials", key.id.as_uuid())]
    {
        let another = format!("select from catalog.{table} where id = '{id}' for share");
        let error = raw.batch_execute(&another).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "55P03", "{table}");
    }
}

/// Both lock the user before their sessions, so neither ever has what the other waits for.
#[tokio::test]
async fn who_is_disabled_while_their_request_runs_is_disabled_after_it() {
    let fixture = Fixture::new().await;
    let tenant = fixture.active_tenant("acme").await;
    let (user, session) = user(&fixture).await;
    let mut request = fixture.tx().await;
    request.lock_tenant(tenant).await.unwrap();
    assert!(request.session_stands(user, session).await.unwrap());
    let catalog = fixture.catalog.clone();
    let disabling = tokio::spawn(async move {
        let mut tx = catalog.begin(&crate::fixture::context()).await.unwrap();
        let patch = UserPatch { disabled: Some(true), ..UserPatch::default() };
        tx.user_update(user, None, &patch).await?;
        tx.commit().await
    });
    let raw = fixture.raw().await;
    eventually("it waits its turn", async || {
        let waiting =
            "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        !raw.query(waiting, &[]).await.unwrap().is_empty()
    })
    .await;
    request.membership_create(tenant, user, &MemberRole::BuiltIn(Role::Member)).await.unwrap();
    request.commit().await.unwrap();
    disabling.await.unwrap().unwrap();
    let mut late = fixture.tx().await;
    assert!(!late.session_stands(user, session).await.unwrap());
}
