use super::*;
use crate::pool::breaker::LoginCounts;
use crate::pool::tests::route;
use config::PoolConfig;
use std::io;
use std::task::Poll;
use std::time::Duration;
use tenancy::ErrorKind;

/// Longer than any pause, and not so long that an outage were forgotten.
const LATER: Duration = Duration::from_secs(20);

/// Two tenants' logins to one address.
struct World {
    counts: Arc<LoginCounts>,
    doubts: Arc<Doubts>,
    first: Arc<Logins>,
    second: Arc<Logins>,
}

impl World {
    fn new(adjust: impl FnOnce(&mut PoolConfig)) -> Self {
        let mut settings = config::GatewayConfig::default().pool;
        adjust(&mut settings);
        let (counts, doubts) = (Arc::<LoginCounts>::default(), Arc::<Doubts>::default());
        let record = route().placement.expect("placed").cluster;
        let endpoint = Endpoint::new(&record, &settings, Arc::clone(&counts));
        let logins = || Logins::new(Arc::clone(&endpoint), TenantId::generate(), Arc::clone(&doubts));
        Self { first: logins(), second: logins(), counts, doubts }
    }

    /// One whose server is known to be well.
    fn well(adjust: impl FnOnce(&mut PoolConfig)) -> Self {
        let world = Self::new(adjust);
        for logins in [&world.first, &world.second] {
            try_now(logins).succeeded();
        }
        world
    }
}

fn try_now(logins: &Arc<Logins>) -> Attempt {
    logins.may_try(Instant::now(), true).expect("nothing is wrong")
}

fn refused(code: &str) -> ConnectError {
    ConnectError::Refused { code: code.to_owned(), message: "words".to_owned() }
}

fn unreachable() -> ConnectError {
    ConnectError::Io(io::ErrorKind::ConnectionRefused.into())
}

#[test]
fn a_failure_of_the_server_is_shared_and_clients_wait() {
    let world = World::well(|_| ());
    assert!(try_now(&world.first).failed(&unreachable()).is_none(), "one failure refuses nobody");
    let not_now = world.second.may_try(Instant::now(), false).err().expect("the pause holds for all");
    assert!(not_now.refusal.is_none() && not_now.again.is_some(), "{not_now:?}");
    assert_eq!(world.second.trouble().map(|refusal| refusal.kind()), Some(ErrorKind::ClusterUnavailable));
    let later = Instant::now() + LATER;
    let alone = world.first.may_try(later, true).expect("the pause is over");
    assert!(world.second.may_try(later, true).is_err_and(|not_now| not_now.again.is_none()));
    alone.succeeded();
    assert!(world.second.are_well() && world.second.trouble().is_none());
    assert_eq!((world.counts.succeeded.get(), world.counts.failed.get()), (3, 1));
    assert_eq!(world.counts.transitions.each_ref().map(|counter| counter.get()), [1, 0, 1]);
}

#[test]
fn clients_are_refused_with_the_time_of_the_next_login_once_patience_is_over() {
    let world = World::well(|settings| settings.outage_patience_ms = 0);
    assert!(try_now(&world.first).failed(&refused("57P03")).is_none(), "one failure refuses nobody");
    let second = world.first.may_try(Instant::now() + LATER, true).expect("the pause is over");
    let refusal = second.failed(&refused("57P03")).expect("the second does");
    assert_eq!(refusal.kind(), ErrorKind::ClusterStarting);
    assert!(refusal.hint_text().is_some_and(|hint| hint.contains("tries again in")), "{refusal:?}");
    assert!(refusal.retry_pause().is_some_and(|pause| pause <= Duration::from_millis(500)), "{refusal:?}");
    let others = world.second.refusal(Instant::now()).expect("it holds for all of the cluster");
    assert_eq!(others.kind(), ErrorKind::ClusterStarting);
    assert!(world.second.refusal(Instant::now() + LATER).is_none(), "whoever comes then has it tried");
}

#[test]
fn what_is_wrong_with_one_tenant_is_its_own_and_proves_that_the_server_lives() {
    let world = World::well(|settings| settings.outage_patience_ms = 0);
    assert!(try_now(&world.second).failed(&unreachable()).is_none());
    let alone = world.first.may_try(Instant::now() + LATER, true).expect("the pause is over");
    assert!(alone.failed(&refused("55000")).is_none(), "one failure refuses nobody");
    let again = world.first.may_try(Instant::now() + LATER, true).expect("the pause is over");
    let refusal = again.failed(&refused("55000")).expect("a closed database does not open by itself");
    assert_eq!(refusal.kind(), ErrorKind::ClusterUnavailable);
    assert!(world.first.may_try(Instant::now(), true).is_err());
    assert!(world.second.are_well());
    assert!(world.second.may_try(Instant::now(), true).is_ok());
}

#[test]
fn an_attempt_that_is_dropped_counts_for_nothing() {
    let world = World::new(|_| ());
    drop(try_now(&world.first));
    let attempt = try_now(&world.first);
    assert!(world.first.may_try(Instant::now(), true).is_err(), "the first login of a pool goes alone");
    assert!(world.second.may_try(Instant::now(), true).is_err(), "and so does that of a server");
    attempt.succeeded();
    let _several = [try_now(&world.first), try_now(&world.first)];
}

#[test]
fn a_pool_that_holds_nothing_tries_one_login_at_a_time() {
    let world = World::well(|_| ());
    let attempt = world.first.may_try(Instant::now(), false).expect("nothing is wrong");
    assert!(world.first.may_try(Instant::now(), false).is_err());
    let _other = try_now(&world.first);
    drop(attempt);
}

#[tokio::test]
async fn a_cluster_gets_no_more_logins_at_once_than_it_may() {
    let world = World::well(|settings| settings.logins_at_once = 1);
    let first = try_now(&world.first).begin().await.expect("nothing has changed");
    let mut second = Box::pin(try_now(&world.second).begin());
    assert!(matches!(futures_util::poll!(&mut second), Poll::Pending));
    assert_eq!(world.first.endpoint().outlook(Instant::now()).logins, 1);
    first.succeeded();
    second.await.expect("its turn").succeeded();
    assert_eq!(world.first.endpoint().outlook(Instant::now()).logins, 0);
}

#[tokio::test]
async fn whoever_had_to_wait_for_a_place_looks_again() {
    let world = World::well(|settings| settings.logins_at_once = 1);
    let first = try_now(&world.first).begin().await.expect("nothing has changed");
    let mut second = Box::pin(try_now(&world.second).begin());
    assert!(matches!(futures_util::poll!(&mut second), Poll::Pending));
    assert!(first.failed(&unreachable()).is_none());
    assert!(second.await.is_none(), "the failure is shared");
}

#[tokio::test]
async fn a_turn_comes_when_another_login_has_succeeded() {
    let world = World::well(|_| ());
    assert!(try_now(&world.first).failed(&unreachable()).is_none());
    let alone = world.first.turn(|| true).await.expect("the pause is short");
    let mut turn = Box::pin(world.second.turn(|| false));
    assert!(matches!(futures_util::poll!(&mut turn), Poll::Pending));
    alone.succeeded();
    turn.await.expect("all is well").succeeded();
}

#[tokio::test]
async fn keys_that_are_refused_cast_doubt_on_the_route() {
    let world = World::well(|_| ());
    assert!(
        try_now(&world.first).failed(&ConnectError::KeysOutdated).is_none(),
        "clients wait for the new ones"
    );
    assert_eq!(world.doubts.next().await, world.first.tenant);
}
