//! Stopping in order, so that nobody is cut short who need not be.
//!
//! 1. The gateway is no longer ready, and goes on for `drain_delay_ms`, until load balancers have seen that.
//! 2. When another gateway listens on the same ports, everything new is left to it, and nobody is refused. Otherwise
//!    the listeners stay open to say to each client that comes why it is not served: a driver understands 57P01,
//!    and tries another address. When another gateway comes later, it gets the rest. Gateways that stop together
//!    leave one after the other, so that the last of them stays to say so.
//! 3. Clients that have asked are answered, and told 57P01 between two transactions. Those that keep a server
//!    connection, in session mode or pinned, may stay until `drain_timeout_ms` is over.
//! 4. Who is still there is told so and cut off. Cancel requests are passed on to the end.

use crate::listen::door::{Orders, Visitors};
use crate::listen::group::{Place, Turn};
use crate::shared::Shared;
use std::future::pending;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

/// How often a gateway that drains looks whether another one has taken its place. It is read from the kernel, and
/// only then.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// How long others may take to leave before this one does. Each takes some seconds. Whoever keeps the turn for longer
/// must not keep this gateway from its end.
const TURN_MAX: Duration = Duration::from_secs(10);

/// How long clients get, once the time is up, to hear that it is.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);

/// What has to come to its end.
pub(super) struct Stopping<'a> {
    pub(super) shared: &'a Shared,
    /// The listeners that may be taken over; none if their ports are not shared.
    pub(super) places: Vec<Place>,
    /// What the listeners are told.
    pub(super) orders: Orders,
    pub(super) listeners: TaskTracker,
    pub(super) visitors: Visitors,
    /// The right to leave the ports, as long as it does.
    pub(super) turn: Mutex<Option<Turn>>,
}

impl Stopping<'_> {
    pub(super) async fn run(&self) {
        self.listeners.close();
        self.visitors.clients.close();
        self.shared.leaving.cancel();
        tracing::info!("the gateway is to stop: it is no longer ready");
        sleep(self.shared.config.drain_delay()).await;
        if self.is_succeeded() {
            self.hand_over().await;
        }
        tracing::info!(clients = self.visitors.clients.len(), "the gateway drains");
        self.shared.drain.cancel();
        if !self.clients_leave().await {
            self.cut_off().await;
        }
        self.orders.close.cancel();
        self.listeners.wait().await;
        self.visitors.late.close();
        // Their last words are on their way.
        let _ = timeout(LAST_WORDS_MAX, self.visitors.late.wait()).await;
    }

    /// Does another gateway listen wherever this one does?
    fn is_succeeded(&self) -> bool {
        let others = |place: &Place| {
            place.others().inspect_err(|error| tracing::warn!(%error, "cannot see who listens"))
        };
        !self.places.is_empty() && self.places.iter().all(|place| matches!(others(place), Ok(1..)))
    }

    /// Leaves everything new to another gateway, unless all the others are leaving, too.
    async fn hand_over(&self) {
        // Kept if the drain ends meanwhile: the ports do not close before its listeners do.
        *self.turn.lock().await = timeout(TURN_MAX, self.next_turn()).await.ok().flatten();
        if !self.is_succeeded() {
            self.turn.lock().await.take();
            tracing::info!("the other gateways have left the ports: they stay open, and clients are told");
            return;
        }
        self.orders.hand_over.cancel();
        self.listeners.wait().await;
        self.turn.lock().await.take();
        tracing::info!("another gateway has taken the ports over: new clients are its own");
    }

    /// The right to leave, when those who have it before have left. None where the system does not know such a thing.
    async fn next_turn(&self) -> Option<Turn> {
        let place = self.places.first()?;
        loop {
            match Turn::take(place) {
                Ok(Some(turn)) => return Some(turn),
                Ok(None) => sleep(LOOK_INTERVAL).await,
                Err(error) => {
                    tracing::warn!(%error, "cannot see whether another gateway leaves at the same time");
                    return None;
                }
            }
        }
    }

    /// Says whether all have left in time.
    async fn clients_leave(&self) -> bool {
        tokio::select! {
            left = timeout(self.shared.config.drain_timeout(), self.visitors.clients.wait()) => left.is_ok(),
            () = self.watch_for_a_successor() => false,
        }
    }

    /// Never resolves.
    async fn watch_for_a_successor(&self) {
        while !self.places.is_empty() && !self.orders.hand_over.is_cancelled() {
            if self.is_succeeded() {
                self.hand_over().await;
            }
            sleep(LOOK_INTERVAL).await;
        }
        pending::<()>().await;
    }

    async fn cut_off(&self) {
        let clients = &self.visitors.clients;
        tracing::warn!(
            clients = clients.len(),
            "clients are still busy at the end of the drain and are cut off"
        );
        self.shared.clients.end_all();
        if timeout(LAST_WORDS_MAX, clients.wait()).await.is_err() {
            self.shared.cut_off.cancel();
            clients.wait().await;
        }
    }
}
