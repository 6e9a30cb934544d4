//! A client that has a connection pays for each request that it begins there.
//!
//! Who asks for a connection has paid for the first request before. One that sends ahead goes on as long as there is
//! something in the bucket, then its requests go one by one, and each gets a connection anew. A client that keeps its
//! connection waits with it, and is refused there. Inside a transaction nothing is refused: what it takes is owed, and
//! waits once as much is owed as may be. The same for a request without end, of which a Flush brings out the answers.

use super::Meter;
use crate::error::Refusal;
use crate::listen::wire::write_refusal;
use crate::pool::Lease;
use crate::relay::exchange::{ClientState, Exchange};
use pgwire::Severity;
use pgwire::backend::{TransactionStatus, write};
use pgwire::frame::Header;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// What is to be done with a client's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// What is always done with it.
    Pass,
    /// Nothing yet.
    Wait,
    /// It was thrown away. The next one.
    Next,
}

/// What a client waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// Its turn. It may wait in vain.
    Passage,
    /// That more can be owed.
    Room,
}

/// How a client at work stands with its tenant's rate.
#[derive(Default)]
pub struct Toll {
    /// The request that is being sent was taken from the bucket, or is owed.
    is_paid: bool,
    /// It has had something executed already.
    has_executed: bool,
    /// The next was not in the bucket while another was under way.
    was_empty: bool,
    /// It waits for the bucket.
    hold: Option<Hold>,
    waiting: Option<Pin<Box<Passage>>>,
    /// Why it is thrown away, and whether the client was told.
    refusal: Option<Box<Refusal>>,
    is_told: bool,
}

type Passage = dyn Future<Output = Result<(), Refusal>> + Send;

impl Toll {
    /// A connection was leased for a request that was paid for.
    #[must_use]
    pub fn paid() -> Self {
        Self { is_paid: true, ..Self::default() }
    }

    /// Is the client kept waiting?
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.hold.is_some()
    }

    /// A message was dealt with.
    pub fn passed(&mut self, tag: u8) {
        if ends_request(tag) {
            (self.is_paid, self.has_executed, self.was_empty) = (false, false, false);
        } else {
            self.has_executed |= tag == EXECUTE;
        }
    }

    /// Waits for the bucket, for `wait_max` at most. Ready when the client's next message is to be looked at again.
    pub fn poll_held(&mut self, cx: &mut Context<'_>, meter: &Arc<Meter>, wait_max: Duration) -> Poll<()> {
        let may_be_refused = self.hold == Some(Hold::Passage);
        let waiting = self.waiting.get_or_insert_with(|| {
            let meter = Arc::clone(meter);
            Box::pin(async move {
                if may_be_refused {
                    return meter.passage(wait_max).await;
                }
                meter.room(wait_max).await;
                Ok(())
            })
        });
        waiting.as_mut().poll(cx).map(|passed| {
            (self.waiting, self.hold) = (None, None);
            match passed {
                Ok(()) => (self.is_paid, self.has_executed) = (true, false),
                Err(refusal) => self.refusal = Some(Box::new(refusal)),
            }
        })
    }

    fn pay(&mut self, has_paid: bool) -> Check {
        self.is_paid = has_paid;
        if has_paid { Check::Pass } else { Check::Wait }
    }

    /// What cannot be refused is owed.
    fn owe(&mut self, meter: &Arc<Meter>) -> Check {
        if !meter.owes() {
            self.hold = Some(Hold::Room);
            return Check::Wait;
        }
        (self.is_paid, self.has_executed) = (true, false);
        Check::Pass
    }
}

impl fmt::Debug for Toll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Toll")
            .field("is_paid", &self.is_paid)
            .field("hold", &self.hold)
            .finish_non_exhaustive()
    }
}

/// The tag of an Execute, the message that has something carried out in the extended protocol.
const EXECUTE: u8 = b'E';

/// A simple query and a function call are requests of their own; anything else ends with a Sync.
const fn ends_request(tag: u8) -> bool {
    matches!(tag, b'Q' | b'F' | b'S')
}

/// A Flush, COPY data and its end, and the goodbye ask for nothing.
const fn asks_for_something(tag: u8) -> bool {
    !matches!(tag, b'H' | b'd' | b'c' | b'f' | b'X')
}

/// Looks at the next message of a client whose tenant has a limit.
#[cold]
pub fn check(exchange: &mut Exchange, client: &ClientState, lease: &Lease, header: Header) -> Check {
    let toll = &mut exchange.toll;
    if toll.refusal.is_some() && header.tag != b'X' {
        return refuse(exchange, lease, header);
    }
    if !asks_for_something(header.tag) {
        return Check::Pass;
    }
    if toll.is_held() {
        return Check::Wait;
    }
    if toll.is_paid {
        // What is skipped after an error carries nothing out.
        let is_one_more = header.tag == EXECUTE && toll.has_executed && !exchange.ledger.is_skipping();
        return if is_one_more { toll.owe(&client.meter) } else { Check::Pass };
    }
    if exchange.ledger.awaits_ready() {
        if toll.was_empty {
            return Check::Wait;
        }
        let has_paid = client.meter.takes();
        toll.was_empty = !has_paid;
        return toll.pay(has_paid);
    }
    if !exchange.ledger.begins_request() || exchange.status != TransactionStatus::Idle {
        return toll.owe(&client.meter);
    }
    let has_paid = client.meter.takes();
    toll.hold = (!has_paid).then_some(Hold::Passage);
    toll.pay(has_paid)
}

/// Throws the message away with all of its request. Nothing of the server's is under way meanwhile.
fn refuse(exchange: &mut Exchange, lease: &Lease, header: Header) -> Check {
    if !exchange.down.at_boundary() {
        return Check::Wait;
    }
    let toll = &mut exchange.toll;
    if let Some(refusal) = toll.refusal.as_ref().filter(|_| !toll.is_told) {
        toll.is_told = true;
        lease.pool().usage().refused(refusal.kind());
        exchange.down.stage(|out| write_refusal(out, refusal, Severity::Error));
    }
    exchange.up.discard(header.len);
    if ends_request(header.tag) {
        exchange.down.stage(|out| write::ready_for_query(out, TransactionStatus::Idle));
        (toll.refusal, toll.is_told) = (None, false);
    }
    Check::Next
}
