//! Who waits for the right to hold a connection for longer than a transaction, and how it is given out.

use super::core::Core;
use super::*;
use crate::pool::waiters::Ticket;

/// Somebody who waits for it.
pub(super) struct LongWaiter {
    id: MemberId,
    kind: LongHold,
    sender: oneshot::Sender<LongPermit>,
}

/// Leaves the queue for long holds when it is dropped.
struct LongWait<'a> {
    cluster: &'a Cluster,
    ticket: Ticket<TenantId>,
}

impl Core {
    /// The limit with which all could keep a connection who wait for that.
    pub(super) fn useful_limit_for_long(&self) -> u32 {
        self.allocator.useful_limit_for_long(self.long_waiters.len())
    }

    /// Who waits to hold one of the pool's connections waits no longer, and hears that when these are dropped.
    pub(super) fn take_long_waiters(&mut self, id: MemberId) -> Vec<LongWaiter> {
        let Some(member) = self.members.get(&id) else { return Vec::new() };
        self.long_waiters.take_some(member.tenant, |waiter| waiter.id == id)
    }
}

impl Cluster {
    /// Who waits to hold one of the pool's connections for long hears that nobody answers, and asks again.
    pub(in crate::pool) fn ask_again_for_long(&self, id: MemberId) {
        let told = self.core().take_long_waiters(id);
        drop(told);
    }

    /// The right to hold one of the pool's connections for longer than a transaction, if it is to be had now and
    /// nobody waits for it.
    pub(in crate::pool) fn keep_long(self: &Arc<Self>, id: MemberId, kind: LongHold) -> Option<LongPermit> {
        let is_kept = self.note(|core| core.long_waiters.is_empty() && core.allocator.keep_long(id, kind));
        // It may lack another one now.
        self.carry_out();
        is_kept.then(|| LongPermit::new(Arc::clone(self), id, kind))
    }

    /// Could the pool have it if fewer were held for long?
    pub(in crate::pool) fn may_keep(&self, id: MemberId, kind: LongHold) -> bool {
        self.core().allocator.may_hold(id, kind)
    }

    /// The same for whoever can wait for it. None: the pool has left. Dropping the future leaves the queue.
    pub(in crate::pool) async fn keep_long_in_turn(
        self: &Arc<Self>,
        id: MemberId,
        weight: u32,
        kind: LongHold,
    ) -> Option<LongPermit> {
        let (sender, receiver) = oneshot::channel();
        let ticket = {
            let mut core = self.core();
            // Nobody would ever serve it, nor whoever is behind it.
            let tenant = core.members.get(&id)?.tenant;
            core.long_waiters.push(tenant, weight, LongWaiter { id, kind, sender })
        };
        let _wait = LongWait { cluster: self, ticket };
        self.serve_long();
        receiver.await.ok()
    }

    /// Its place is kept meanwhile: there may be none for it a moment later. `false`: it may not be held for that.
    pub(in crate::pool) fn change_long(&self, id: MemberId, from: LongHold, to: LongHold) -> bool {
        self.core().allocator.change_long(id, from, to)
    }

    /// Do the pool and its siblings listen on as many connections as they may have?
    pub(in crate::pool) fn listens_on_all(&self, id: MemberId) -> bool {
        self.core().allocator.listens_on_all(id)
    }

    pub(in crate::pool) fn end_long(self: &Arc<Self>, id: MemberId, kind: LongHold) {
        // One place less is due to transactions where long holders exceed the limit.
        self.tell(|allocator| allocator.end_long(id, kind));
        self.serve_long();
    }

    /// Gives what may be held for long to those who wait for it.
    pub(super) fn serve_long(self: &Arc<Self>) {
        while let Some((sender, permit)) = self.next_long() {
            // If the receiver has left, the permit ends here, and it is the next one's turn.
            let _ = sender.send(permit);
        }
        self.carry_out();
    }

    fn next_long(self: &Arc<Self>) -> Option<(oneshot::Sender<LongPermit>, LongPermit)> {
        let served = self.note(|core| {
            let (id, kind) = core.long_waiters.peek().map(|waiter| (waiter.id, waiter.kind))?;
            core.allocator.keep_long(id, kind).then(|| core.long_waiters.pop()).flatten()
        });
        served.map(|LongWaiter { id, kind, sender }| (sender, LongPermit::new(Arc::clone(self), id, kind)))
    }
}

impl Drop for LongWait<'_> {
    fn drop(&mut self) {
        self.cluster.core().long_waiters.remove(self.ticket);
    }
}
