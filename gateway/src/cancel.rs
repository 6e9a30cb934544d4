//! Cancel requests: from the key that a client was given to what its session is doing.
//!
//! ```text
//! key: 0 | gateway's number, 10 bits | session, 21 bits | secret, 32 bits
//! ```
//!
//! A client gets a key of ours, never the server's. Any gateway takes it: one that did not give it out passes the
//! request on to the one that did, which it finds by the number, once ([`peers`], [`forward`]). A cancel reaches the
//! server only while the session holds a connection, and a connection on which a cancel is under way is closed rather
//! than given to the next client ([`slot`]): a late cancel can hit nobody else.
//!
//! A request is never answered, whatever comes of it: it says only `known` to the metrics. What one address may send
//! is bounded ([`rate`]), because keys are short.

pub mod forward;
pub mod peers;
pub mod rate;
pub mod slot;

pub use peers::Peers;
pub use slot::CancelSlot;

use crate::connect::{self, CancelTarget};
use config::CancelConfig;
use dashmap::DashMap;
use pgwire::CancelKey;
use rate::SourceRate;
use slot::Begun;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Bits of a key's process id that say which session; those above say which gateway.
const SESSION_BITS: u32 = 21;

/// How long a request may take to end after an attempt to cancel it, before the next one. Overtaking is a matter of less
/// than a millisecond, but for a machine that is busy.
const PATIENCE: [Duration; 3] = [Duration::from_millis(10), Duration::from_millis(40), Duration::ZERO];

const SESSION_MASK: i32 = (1 << SESSION_BITS) - 1;

/// What came of a cancel request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelOutcome {
    /// The session's server has got it.
    Server,
    /// The session waited for a connection and waits no more.
    Queue,
    /// The session did nothing.
    Nothing,
    /// There is no such session, or the secret is another's.
    Unknown,
    /// The gateway that gave the key out has got it.
    Gateway,
    /// No such gateway is alive.
    NoGateway,
    /// Server or gateway could not be reached in time.
    Failed,
    /// Too many came from the same address.
    Limited,
}

impl CancelOutcome {
    /// Every outcome, for the metrics.
    pub const ALL: [Self; 8] = [
        Self::Server,
        Self::Queue,
        Self::Nothing,
        Self::Unknown,
        Self::Gateway,
        Self::NoGateway,
        Self::Failed,
        Self::Limited,
    ];

    /// The metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Queue => "queue",
            Self::Nothing => "nothing",
            Self::Unknown => "unknown",
            Self::Gateway => "gateway",
            Self::NoGateway => "no_gateway",
            Self::Failed => "failed",
            Self::Limited => "limited",
        }
    }
}

/// The sessions that can be cancelled here, and the way to those that cannot.
pub struct Cancels {
    sessions: DashMap<i32, Entry>,
    peers: Arc<Peers>,
    rate: SourceRate,
    /// Requests that may be passed on at the same time.
    turns: Semaphore,
    timeout: Duration,
}

struct Entry {
    secret: i32,
    slot: Arc<CancelSlot>,
}

/// A cancel on its way to a server. Ready with whether it has got there.
pub type PassingOn = dyn Future<Output = bool> + Send;

impl Default for Cancels {
    fn default() -> Self {
        Self::new(&CancelConfig::default())
    }
}

impl Cancels {
    /// No sessions yet.
    #[must_use]
    pub fn new(config: &CancelConfig) -> Self {
        Self {
            sessions: DashMap::new(),
            peers: Arc::default(),
            rate: SourceRate::new(config.per_source_max),
            turns: Semaphore::new(config.at_once_max as usize),
            timeout: config.timeout(),
        }
    }

    /// The gateways that keys may name.
    #[must_use]
    pub fn peers(&self) -> &Arc<Peers> {
        &self.peers
    }

    /// A new session's key. The session is known until the returned guard is dropped.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn register(self: &Arc<Self>) -> Result<CancelGuard, getrandom::Error> {
        loop {
            let key = random_key(self.peers.own())?;
            // The process id must be free, whatever the secret.
            if let dashmap::Entry::Vacant(vacant) = self.sessions.entry(key.process_id) {
                let slot = Arc::new(CancelSlot::default());
                vacant.insert(Entry { secret: key.secret, slot: Arc::clone(&slot) });
                return Ok(CancelGuard { cancels: Arc::clone(self), key, slot });
            }
        }
    }

    /// Cancels what the session with this key is doing, here or at the gateway that the key names.
    pub async fn cancel(&self, key: CancelKey, source: IpAddr) -> CancelOutcome {
        if !self.rate.allows(source) {
            return CancelOutcome::Limited;
        }
        let (key, may_go_on) = forward::arrived(key);
        if let Some(slot) = self.find(key) {
            return self.cancel_here(&slot).await;
        }
        let number = gateway_of(key);
        if !may_go_on || number == 0 || number == self.peers.own() {
            return CancelOutcome::Unknown;
        }
        match self.peers.address_of(number) {
            Some(address) => self.cancel_there(&address, key).await,
            None => CancelOutcome::NoGateway,
        }
    }

    fn find(&self, key: CancelKey) -> Option<Arc<CancelSlot>> {
        let entry = self.sessions.get(&key.process_id)?;
        let is_right: bool = entry.secret.to_be_bytes().ct_eq(&key.secret.to_be_bytes()).into();
        is_right.then(|| Arc::clone(&entry.slot))
    }

    async fn cancel_here(&self, slot: &Arc<CancelSlot>) -> CancelOutcome {
        // Who waits is told at once; only a server has to be gone to.
        if slot.cancel_waiting() {
            return CancelOutcome::Queue;
        }
        let passed_on = timeout(self.timeout, async {
            let _turn = self.turns.acquire().await;
            cancel_request_of(slot).await
        });
        // One that was cut off may yet arrive: the connection stays marked, and is closed after use.
        passed_on.await.unwrap_or(CancelOutcome::Failed)
    }

    async fn cancel_there(&self, address: &str, key: CancelKey) -> CancelOutcome {
        let passed_on = timeout(self.timeout, async {
            let _turn = self.turns.acquire().await;
            forward::to_gateway(address, key).await
        });
        match passed_on.await {
            Ok(Ok(())) => CancelOutcome::Gateway,
            Ok(Err(error)) => {
                tracing::warn!(%address, %error, "a cancel request could not be passed on to its gateway");
                CancelOutcome::Failed
            }
            Err(_elapsed) => CancelOutcome::Failed,
        }
    }
}

/// Cancels the request that the session has not had an answer to.
///
/// A server ignores a cancel that comes before the statement; on the way through us a statement may well be overtaken.
/// So as long as that request is not answered it is sent again, and a session whose statement may just not have been
/// read yet is looked at twice. The client is not let go of before, so that nothing that it sends afterwards is meant.
async fn cancel_request_of(slot: &Arc<CancelSlot>) -> CancelOutcome {
    let answers = slot.answers();
    let mut outcome = CancelOutcome::Nothing;
    for patience in PATIENCE {
        match slot.begin_cancel() {
            Begun::Queue => return CancelOutcome::Queue,
            Begun::Nothing if patience != PATIENCE[0] => break,
            Begun::Nothing => {}
            Begun::Server(target) if send(slot, &target).await => outcome = CancelOutcome::Server,
            Begun::Server(_) => return CancelOutcome::Failed,
        }
        if slot.answers_within(answers, patience).await {
            break;
        }
    }
    outcome
}

/// Goes to the server, and notes when it has got there.
async fn send(slot: &CancelSlot, target: &CancelTarget) -> bool {
    match connect::cancel::send(target).await {
        Ok(()) => {
            slot.end_cancel(target);
            true
        }
        Err(error) => {
            tracing::warn!(address = %target.address(), %error, "a cancel request could not be passed on to its server");
            false
        }
    }
}

/// A key that nobody can guess, but for the gateway's number in it: the session is random too, so that the
/// rest carries 53 bits and tells nothing about other sessions.
fn random_key(gateway: u16) -> Result<CancelKey, getrandom::Error> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)?;
    let [a, b, c, d, secret @ ..] = bytes;
    let session = i32::from_be_bytes([a, b, c, d]) & SESSION_MASK;
    let process_id = i32::from(gateway) << SESSION_BITS | session;
    Ok(CancelKey { process_id, secret: i32::from_be_bytes(secret) })
}

/// The number of the gateway that gave the key out; 0 if it had none yet.
fn gateway_of(key: CancelKey) -> u16 {
    u16::try_from(key.process_id >> SESSION_BITS).unwrap_or(0)
}

/// A session's entry among those that can be cancelled.
pub struct CancelGuard {
    cancels: Arc<Cancels>,
    key: CancelKey,
    slot: Arc<CancelSlot>,
}

impl CancelGuard {
    /// The key for the client.
    #[must_use]
    pub fn key(&self) -> CancelKey {
        self.key
    }

    /// What the session tells of itself.
    #[must_use]
    pub fn slot(&self) -> &Arc<CancelSlot> {
        &self.slot
    }

    /// Cancels what the session itself has running. `None`: nothing is.
    #[must_use]
    pub fn cancel_running(&self) -> Option<Pin<Box<PassingOn>>> {
        let Begun::Server(target) = self.slot.begin_cancel() else { return None };
        let (slot, most) = (Arc::clone(&self.slot), self.cancels.timeout);
        Some(Box::pin(async move { timeout(most, send(&slot, &target)).await.unwrap_or(false) }))
    }
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        self.cancels.sessions.remove(&self.key.process_id);
    }
}

#[cfg(test)]
mod tests;
