//! Logins, and who may hope for a connection without one.

use super::handing::{limits, pool, with_connections};
use super::route;
use crate::connect::ConnectError;
use crate::pool::allocator::Terms;
use crate::pool::idle::Glance;
use crate::pool::{Asker, Registry};
use crate::tls::ServerTlsSettings;
use futures_util::{FutureExt, poll};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tenancy::{TenantId, WEIGHT_DEFAULT};

const A: Asker = Asker::GATEWAY;
/// Longer than any pause, and not so long that an outage were forgotten.
const LATER: Duration = Duration::from_secs(20);

#[tokio::test]
async fn the_right_to_log_in_is_left_to_others_while_there_is_no_permit() {
    let (pool, _none) = pool(0, limits(1)).await;
    let (cluster, logins) = (pool.cluster(), Arc::clone(pool.connector.logins()));
    let terms = Terms { floor: 0, weight: WEIGHT_DEFAULT, cap: 3 };
    let other = cluster.join(TenantId::generate(), terms, Weak::new(), Glance::new(cluster.clock())).0;
    let [first, _second, _third] = [(); 3].map(|()| cluster.permit_for(other));
    let mut waiting = pin!(pool.checkout(A));
    assert!(poll!(&mut waiting).is_pending());
    let attempt = logins.may_try(Instant::now(), false).expect("nothing is wrong");
    pool.locked(|pool| pool.may_log_in(attempt));
    assert!(logins.may_try(Instant::now(), false).is_ok(), "nobody tries");
    drop(first);
    assert_eq!(pool.opening(), 1, "it asks again when it has a permit");
    assert!(logins.may_try(Instant::now(), false).is_err());
}

/// However often the only connection goes from hand to hand.
#[tokio::test]
async fn nobody_is_refused_for_a_breaker_while_there_is_a_connection() {
    let settings = config::PoolConfig { outage_patience_ms: 0, ..config::GatewayConfig::default().pool };
    let registry = Registry::new(settings, ServerTlsSettings::default());
    let (pool, _servers) = with_connections(&registry, 1, &route()).await;
    let logins = pool.connector.logins();
    for when in [Instant::now(), Instant::now() + LATER] {
        let error = ConnectError::Refused { code: "57P03".into(), message: "words".into() };
        drop(logins.may_try(when, true).expect("it is tried").failed(&error));
    }
    assert!(logins.refusal(Instant::now()).is_some());
    let (stop, mut refused) = (AtomicBool::new(false), 0);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !stop.load(Ordering::Acquire) {
                if let Some(connection) = pool.take_idle() {
                    pool.give_back(connection, Instant::now());
                }
            }
        });
        for _ in 0..20_000 {
            match pool.checkout(A).now_or_never() {
                Some(Ok(lease)) => lease.release(),
                Some(Err(_refusal)) => refused += 1,
                None => {}
            }
        }
        stop.store(true, Ordering::Release);
    });
    assert_eq!((refused, pool.idle()), (0, 1));
}
