use super::*;
use crate::metrics::TenantUsage;
use crate::pool::servers::{Purpose, ServerGuard, Servers};
use crate::pool::tests::route;
use std::future::poll_fn;
use std::task::Poll;
use tenancy::CredentialId;
use tokio_util::sync::CancellationToken;

fn introduction() -> Introduction {
    Introduction {
        tenant: Arc::new(Tenant::new(route(), CancellationToken::new())),
        subject: "app".into(),
        application: "".into(),
        peer: SocketAddr::from(([127, 0, 0, 1], 1)).into(),
        local: None,
        is_encrypted: false,
        pool_mode: PoolMode::Transaction,
        access: Access::Owner,
        credential: CredentialRef::Own(CredentialId::generate()),
    }
}

fn server() -> ServerGuard {
    let purpose = Purpose {
        usage: Arc::new(TenantUsage::new("acme")),
        clock: Instant::now(),
        database: "d1".parse().expect("a name"),
        role: "r1".parse().expect("a name"),
        address: SocketAddr::from(([127, 0, 0, 1], 2)),
        local: None,
        process_id: 1,
        is_encrypted: false,
    };
    Arc::new(Servers::default()).enter(purpose)
}

#[test]
fn a_client_is_listed_from_its_login_to_its_end() {
    let clients = Arc::new(Clients::default());
    let (first, second) = (clients.enter(introduction()), clients.enter(introduction()));
    let ids = || clients.all().iter().map(|client| client.id).collect::<Vec<_>>();
    assert_eq!(ids(), [first.client().id, second.client().id]);
    assert!(clients.find(first.client().id).is_some());
    drop(first);
    assert_eq!(ids(), [second.client().id]);
    assert_eq!(clients.len(), 1);
}

#[test]
fn a_wait_begins_once_and_ends_with_the_work() {
    let clients = Arc::new(Clients::default());
    let guard = clients.enter(introduction());
    let client = guard.client();
    client.waiting();
    let since = client.since_us.load(Ordering::Relaxed);
    client.waiting();
    let server = server();
    client.active(server.server());
    assert_eq!(client.since_us.load(Ordering::Relaxed), since, "a request begins when its wait does");
    assert_eq!((client.doing(), client.server()), (Doing::Active, Some(server.server().id)));
    client.idle();
    assert_eq!((client.doing(), client.server()), (Doing::Idle, None));
}

#[tokio::test]
async fn a_client_that_waits_for_something_else_notices_its_end() {
    let clients = Arc::new(Clients::default());
    let guard = clients.enter(introduction());
    let client = Arc::clone(guard.client());
    let watched = Arc::clone(&client);
    // Nothing but its end ever wakes this session.
    let session = poll_fn(move |_| if watched.is_killed() { Poll::Ready(()) } else { Poll::Pending });
    let running = tokio::spawn(Mortal::new(session, Arc::clone(&client)));
    while client.waker.lock().expect("nobody panics").is_none() {
        tokio::task::yield_now().await;
    }
    client.kill(End::Ordered);
    running.await.expect("it ends");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_leave_is_cut_off() {
    let clients = Arc::new(Clients::default());
    let guard = clients.enter(introduction());
    guard.client().kill(End::Ordered);
    Mortal::new(std::future::pending(), Arc::clone(guard.client())).await;
}

#[test]
fn only_clients_whose_credential_was_withdrawn_are_ended_and_told_so() {
    let clients = Arc::new(Clients::default());
    let (good, bad) = (clients.enter(introduction()), clients.enter(introduction()));
    let withdrawn = bad.client().about.credential.clone();
    clients.end_withdrawn(|about| about.credential != withdrawn);
    clients.end_withdrawn(|about| about.credential != withdrawn);
    assert_eq!((good.client().end(), bad.client().end()), (None, Some(End::Withdrawn)));
    assert_eq!(clients.withdrawn.get(), 1);
}
