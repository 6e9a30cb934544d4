//! What happens to the tenants of one cluster.

use crate::actors::Actors;
use harness::messages::{MessageProxy, Mischief, Place, Plan, Script};
use harness::{Direction, End, Stack};
use std::sync::Arc;

/// Samples between two restarts of the server, and between two killings of its backends.
const RESTART_EVERY: u64 = 30;
const KILL_EVERY: u64 = 7;

/// The network breaks at one of so many messages.
const MESSAGES_MAX: u64 = 40;

/// One after the other, so that each comes often.
pub(crate) struct Trouble {
    client_side: Arc<Script>,
    server_side: Arc<Script>,
    tenant: harness::Tenant,
    dice: u64,
    times: u64,
    breaks: u64,
    kills: u64,
    restarts: u64,
}

impl Trouble {
    pub(crate) async fn new(
        stack: &Stack,
        actors: &Actors,
        before_gateway: &MessageProxy,
        before_server: &MessageProxy,
    ) -> Self {
        let tenant = actors.shaken.clone();
        let client_side = before_gateway.script(&tenant.slug);
        let server_side = before_server.script(&stack.physical(&tenant).await.database);
        Self { client_side, server_side, tenant, dice: 1, times: 0, breaks: 0, kills: 0, restarts: 0 }
    }

    fn roll(&mut self, sides: u64) -> usize {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.dice >> 33) % sides).expect("few sides")
    }

    /// The next thing that goes wrong. What was silent until now is gone.
    pub(crate) async fn strike(&mut self, stack: &mut Stack) {
        self.times += 1;
        for script in [Arc::clone(&self.client_side), Arc::clone(&self.server_side)] {
            script.release();
            script.arm(Some(self.plan()));
            self.breaks += 1;
        }
        if self.times.is_multiple_of(RESTART_EVERY) {
            self.restarts += 1;
            stack.cluster("us-1").expect("a cluster").restart().await.expect("it comes back");
        } else if self.times.is_multiple_of(KILL_EVERY) {
            self.kills += 1;
            stack.end_sessions(&self.tenant).await;
        }
    }

    fn plan(&mut self) -> Plan {
        const ENDS: [End; 4] = [End::Close, End::Reset, End::HalfClose, End::BlackHole];
        let mischief = match self.roll(8) {
            0 => Mischief::Garbage,
            1 => Mischief::Trickle,
            2 => Mischief::Coalesce,
            _ => Mischief::End(ENDS[self.roll(4)]),
        };
        let direction = [Direction::ToTarget, Direction::FromTarget][self.roll(2)];
        // A server that talks nonsense is noticed as such, and counted: that is another test.
        let mischief = if mischief == Mischief::Garbage && direction == Direction::FromTarget {
            Mischief::End(End::Reset)
        } else {
            mischief
        };
        let place = [Place::Before, Place::Within, Place::After][self.roll(3)];
        Plan { direction, message: self.roll(MESSAGES_MAX), place, mischief }
    }

    /// Nothing more happens, and what was silent is gone.
    pub(crate) fn calm(&self) {
        for script in [&self.client_side, &self.server_side] {
            script.arm(None);
            script.release();
        }
    }

    pub(crate) fn summary(&self) -> String {
        let Self { breaks, kills, restarts, .. } = self;
        format!("broken {breaks} times, sessions killed {kills} times, server restarted {restarts} times")
    }
}
