//! Clients of one tenant that ask as fast as they may, and do not mind being refused for it.

use harness::eventually;
use harness::wire::{Message, WireClient};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::task::JoinSet;
use tokio_postgres::Config;

/// Is that a refusal for coming too fast? Any other error is none of this.
///
/// # Panics
/// At any other error.
#[must_use]
pub fn is_refused(messages: &[Message]) -> bool {
    let Some(error) = messages.iter().find(|message| message.tag == b'E') else { return false };
    assert_eq!(error.sqlstate(), "53400", "{}", error.text());
    true
}

/// Clients that ask again as soon as they have heard.
pub struct Flood {
    served: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

impl Flood {
    /// So many clients, each of which begins with `first` and goes on with what costs nothing. They log in one after the
    /// other.
    pub async fn start(config: &Config, clients: usize, first: &'static str) -> Self {
        let (served, refused) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let is_over = Arc::<AtomicBool>::default();
        let mut running = JoinSet::new();
        for _ in 0..clients {
            let (served, refused, is_over) =
                (Arc::clone(&served), Arc::clone(&refused), Arc::clone(&is_over));
            let login = async || WireClient::login(config).await.ok();
            let mut client = eventually("a client is let in", login).await;
            running.spawn(async move {
                let mut next = first;
                while !is_over.load(Ordering::Acquire) {
                    let answer = client.query(next).await.expect("it stays connected");
                    let is_refused = is_refused(&answer);
                    if is_refused { &refused } else { &served }.fetch_add(1, Ordering::AcqRel);
                    if !is_refused {
                        next = "select 1";
                    }
                }
            });
        }
        Self { served, refused, is_over, clients: running }
    }

    /// Requests that were served.
    #[must_use]
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Acquire)
    }

    /// Requests that came too fast.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Acquire)
    }

    /// They end after what they are about; none of them has met another error.
    pub async fn stop(self) {
        self.is_over.store(true, Ordering::Release);
        self.clients.join_all().await;
    }
}
