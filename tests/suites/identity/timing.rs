//! Strangers learn nothing by the clock: an unknown tenant, an unknown user and a wrong secret take alike.
//!
//! Each is tried many times, all in turn, so that whatever else the machine does falls on all of them. Only a difference
//! of many times is a failure: a step that one of them leaves out, such as hashing or a round trip, makes one. A name
//! that nobody has tried before is looked up in the catalog first: even that is no such difference.

use super::STACK;
use harness::{Knock, log_in};
use std::time::{Duration, Instant};
use tokio_postgres::Config;

/// Attempts of each kind.
const ROUNDS: usize = 21;

/// One kind's middle attempt may take this many times as long as another's.
const RATIO_MAX: u32 = 4;

/// The middle one of each column.
fn medians<const N: usize>(mut rounds: Vec<[Duration; N]>) -> [Duration; N] {
    std::array::from_fn(|column| {
        rounds.sort_by_key(|round| round[column]);
        rounds[rounds.len() / 2][column]
    })
}

fn are_alike(medians: &[Duration]) {
    let (least, most) = (medians.iter().min().unwrap(), medians.iter().max().unwrap());
    assert!(*most < *least * RATIO_MAX, "they can be told apart: {medians:?}");
}

async fn timed<F: Future<Output = bool>>(is_refused: F) -> Duration {
    let begun = Instant::now();
    assert!(is_refused.await);
    begun.elapsed()
}

#[tokio::test]
async fn strangers_on_the_wire_take_alike() {
    let tenant = STACK.create_tenant("clocked", "eu").await;
    let with = |user: &str, dbname: &str| -> Config {
        let mut config = tenant.config();
        config.user(user).dbname(dbname).password("wrong");
        config
    };
    let kinds = |round: usize| {
        [
            with("app", "clocked"),
            with("ghost", "clocked"),
            with("app", "unheard-of"),
            with("app", &format!("never-tried-{round}")),
        ]
    };
    let mut rounds = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let mut took = [Duration::ZERO; 4];
        for (took, config) in took.iter_mut().zip(&kinds(round)) {
            *took = timed(async { log_in(config).await.err().as_deref() == Some("28P01") }).await;
        }
        rounds.push(took);
    }
    are_alike(&medians(rounds));
}

#[tokio::test]
async fn strangers_over_http_take_alike() {
    STACK.create_tenant("clocked-http", "eu").await;
    let with = |text: &str| Knock::new().connection_string(text);
    let kinds = |round: usize| {
        [
            with("postgres://app:wrong@h/clocked-http"),
            with("postgres://ghost:wrong@h/clocked-http"),
            with("postgres://app:wrong@h/unheard-of-http"),
            with(&format!("postgres://app:wrong@h/never-tried-http-{round}")),
        ]
    };
    let mut rounds = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let mut took = [Duration::ZERO; 4];
        for (took, knock) in took.iter_mut().zip(&kinds(round)) {
            *took = timed(async { knock.status(&STACK).await == 401 }).await;
        }
        rounds.push(took);
    }
    are_alike(&medians(rounds));
}
