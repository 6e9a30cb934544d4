//! One client of a storm.

use super::requests::{self, Expected, KINDS, QUICK_KINDS};
use harness::wire::{Message, WireClient, tags};
use harness::{DEADLINE, Tenant};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use suites::nonce::Owner;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// When a client has asked enough.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Rows read by all clients together.
    pub(super) answers: u64,
    /// Pipelines that it has sent itself.
    pub(super) rounds: u64,
}

/// What all clients together have read.
#[derive(Debug, Default)]
pub(super) struct Score {
    answered: AtomicU64,
    refused: AtomicU64,
    cancelled: AtomicU64,
    vanished: AtomicU64,
}

impl Score {
    pub(super) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Acquire)
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Acquire)
    }

    pub(super) fn cancelled(&self) -> u64 {
        self.cancelled.load(Ordering::Acquire)
    }
}

/// A small generator of our own, so that a failure can be run again with its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Sends pipelines of requests, and checks that every answer is this client's to this request.
pub(super) async fn storm_client(tenant: Arc<Tenant>, id: usize, bounds: Bounds, score: Arc<Score>) {
    let mut dice = Dice(u64::try_from(id).expect("few") + 1);
    let owner = Owner::anew();
    let mut asked = 0;
    let mut client = login_in_the_end(&tenant, id).await;
    for _ in 0..bounds.rounds {
        if score.answered() >= bounds.answers {
            return;
        }
        let mut out = Vec::new();
        let expected: Vec<Expected> = (0..=dice.roll(6))
            .map(|_| {
                asked += 1;
                let kinds = if dice.roll(20) == 0 { KINDS } else { QUICK_KINDS };
                requests::request(&mut out, dice.roll(kinds), owner.mark(asked))
            })
            .collect();
        client.send(&out).await.expect("the gateway reads");
        if dice.roll(60) == 0 {
            // Leaves in the middle of everything; whoever comes next must not notice.
            score.vanished.fetch_add(1, Ordering::AcqRel);
            client = login_in_the_end(&tenant, id).await;
            continue;
        }
        let cancels = dice.roll(30) == 0;
        if cancels {
            cancel(&tenant, client.cancel_request()).await;
        }
        for expected in expected {
            read_answer(&mut client, owner, &expected, cancels, &score).await;
        }
    }
}

/// Who cancels may hear of it at any request of its pipeline. Who does not, never does.
async fn read_answer(
    client: &mut WireClient,
    owner: Owner,
    expected: &Expected,
    cancels: bool,
    score: &Score,
) {
    let mut messages = Vec::new();
    for _ in 0..expected.readies {
        messages.extend(client.until_ready().await.expect("every request is answered"));
    }
    for message in &messages {
        let stranger = owner.stranger_in(&message.body);
        assert!(stranger.is_none(), "{owner:?} reads {stranger:?}'s: {message:?}");
    }
    let rows: Vec<String> = messages.iter().filter_map(text_of_row).collect();
    assert!(rows.len() <= 1, "{} rows for one request", rows.len());
    assert!(rows.iter().all(|row| *row == expected.mark), "{rows:?} for {}", expected.mark);
    let mut failed = false;
    for error in messages.iter().filter(|message| message.tag == b'E') {
        let sqlstate = error.sqlstate();
        let failed_before = std::mem::replace(&mut failed, true);
        match &*sqlstate {
            "53300" => score.refused.fetch_add(1, Ordering::AcqRel),
            "57014" if cancels => score.cancelled.fetch_add(1, Ordering::AcqRel),
            // A Parse was cancelled: what it was to prepare is not there.
            "26000" if cancels => 0,
            // A transaction that was cancelled, a statement that was not prepared.
            "25P02" | "26000" if failed_before => 0,
            _ if expected.error == Some(&*sqlstate) => 0,
            _ => panic!("{sqlstate} for {}: {}", expected.mark, error.text()),
        };
    }
    assert!(rows.len() == 1 || failed, "neither row nor error: {}", tags(&messages));
    score.answered.fetch_add(u64::try_from(rows.len()).expect("one"), Ordering::AcqRel);
}

/// The first column of a row, or a line of a COPY.
fn text_of_row(message: &Message) -> Option<String> {
    match message.tag {
        b'D' => Some(message.first_column()),
        b'd' => Some(String::from_utf8_lossy(&message.body).trim_end().to_owned()),
        _ => None,
    }
}

/// Logs in and prepares the statement that it keeps. A login also needs a connection for a moment, which it
/// may not get in time.
async fn login_in_the_end(tenant: &Tenant, id: usize) -> WireClient {
    let started = Instant::now();
    let mut prepare = Vec::new();
    requests::prepare_kept(&mut prepare, id);
    loop {
        match WireClient::login(&tenant.config()).await {
            Ok(mut client) => {
                client.send(&prepare).await.expect("the gateway reads");
                let answer = client.until_ready().await.expect("an answer");
                match answer.iter().find(|message| message.tag == b'E') {
                    None => return client,
                    Some(refusal) => assert_eq!(refusal.sqlstate(), "53300", "{refusal:?}"),
                }
            }
            Err(refusal) => assert_eq!(refusal.sqlstate(), "53300", "{refusal:?}"),
        }
        assert!(started.elapsed() < DEADLINE, "no login succeeds");
    }
}

/// On a connection of its own, which the gateway closes when it has passed the request on.
async fn cancel(tenant: &Tenant, request: Vec<u8>) {
    let config = tenant.config();
    let address = (std::net::Ipv4Addr::LOCALHOST, config.get_ports()[0]);
    let mut socket = TcpStream::connect(address).await.expect("the gateway listens");
    socket.write_all(&request).await.expect("the gateway reads");
    let mut nothing = Vec::new();
    let _ = socket.read_to_end(&mut nothing).await;
}
