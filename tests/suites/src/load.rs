//! Clients that ask all the time, come back when they are cut off, and know their own answers.

use crate::nonce::Owner;
use harness::wire::WireClient;
use harness::{Tenant, wait_until};
use pgwire::frontend::write;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

/// Clients that were cut off do not come back as a flood.
const COMES_BACK_AFTER: Duration = Duration::from_millis(20);

/// What became of the requests so far.
#[derive(Debug, Default)]
struct Score {
    answered: AtomicU64,
    failed: AtomicU64,
    is_over: AtomicBool,
}

/// Some clients of one tenant.
pub struct Load {
    score: Arc<Score>,
    clients: JoinSet<()>,
}

impl Load {
    /// They ask from now on.
    ///
    /// # Panics
    /// In the clients' tasks, when one reads what is not its own; [`Load::stop`] passes that on.
    #[must_use]
    pub fn start(tenant: &Tenant, clients: usize) -> Self {
        let score = Arc::<Score>::default();
        let mut running = JoinSet::new();
        for _ in 0..clients {
            running.spawn(ask_until_over(tenant.clone(), Arc::clone(&score)));
        }
        Self { score, clients: running }
    }

    /// Requests that were answered.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.score.answered.load(Ordering::Acquire)
    }

    /// Requests that failed, and logins.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.score.failed.load(Ordering::Acquire)
    }

    /// Waits until every client can have been answered again.
    ///
    /// # Panics
    /// When that does not come about.
    pub async fn goes_on(&self) {
        let before = self.score.answered.load(Ordering::Acquire);
        let more = u64::try_from(self.clients.len()).expect("few") * 3;
        wait_until("clients are answered", async || {
            self.score.answered.load(Ordering::Acquire) >= before + more
        })
        .await;
    }

    /// Lets every client end its last request.
    ///
    /// # Panics
    /// When one of them has read what is not its own.
    pub async fn stop(mut self) {
        self.score.is_over.store(true, Ordering::Release);
        while let Some(ended) = self.clients.join_next().await {
            ended.expect("no client met a stranger's byte");
        }
    }
}

async fn ask_until_over(tenant: Tenant, score: Arc<Score>) {
    while !score.is_over.load(Ordering::Acquire) {
        let Ok(mut client) = WireClient::login(&tenant.config()).await else {
            score.failed.fetch_add(1, Ordering::AcqRel);
            tokio::time::sleep(COMES_BACK_AFTER).await;
            continue;
        };
        while !score.is_over.load(Ordering::Acquire) {
            match ask(&mut client).await {
                Ok(true) => {
                    score.answered.fetch_add(1, Ordering::AcqRel);
                }
                Ok(false) => {
                    score.failed.fetch_add(1, Ordering::AcqRel);
                    tokio::time::sleep(COMES_BACK_AFTER).await;
                }
                Err(_ended) => {
                    score.failed.fetch_add(1, Ordering::AcqRel);
                    tokio::time::sleep(COMES_BACK_AFTER).await;
                    break;
                }
            }
        }
    }
}

/// A pipeline of three requests, the last two in a transaction. `false`: one of them was refused.
async fn ask(client: &mut WireClient) -> io::Result<bool> {
    let owner = Owner::anew();
    let marks = [owner.mark(1), owner.mark(2), owner.mark(3)];
    let mut out = Vec::new();
    write::query(&mut out, format!("select '{}'", marks[0]).as_bytes()).expect("it fits");
    write::parse(&mut out, b"", b"select $1::text from pg_sleep(0.001)", &[]).expect("it fits");
    write::bind_text(&mut out, b"", b"", &[Some(marks[1].as_bytes())]).expect("it fits");
    write::execute(&mut out, b"", 0).expect("it fits");
    write::sync(&mut out);
    write::query(&mut out, format!("begin; select '{}'; commit", marks[2]).as_bytes()).expect("it fits");
    client.send(&out).await?;
    let mut all_answered = true;
    for mark in &marks {
        let answer = client.until_ready().await?;
        for message in &answer {
            let stranger = owner.stranger_in(&message.body);
            assert!(stranger.is_none(), "{owner:?} has read {stranger:?}'s: {message:?}");
        }
        let rows: Vec<String> =
            answer.iter().filter(|m| m.tag == b'D').map(|row| row.first_column()).collect();
        let was_refused = answer.iter().any(|message| message.tag == b'E');
        assert!(was_refused || rows == [mark.clone()], "asked for {mark}: {answer:?}");
        all_answered &= !was_refused;
    }
    Ok(all_answered)
}
