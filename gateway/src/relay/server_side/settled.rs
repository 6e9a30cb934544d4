//! What a reply settles: effects of what has run are kept, and what was thrown away is taken back.

use super::{ServerFault, session_state};
use crate::pool::Lease;
use crate::relay::effects::Effects;
use crate::relay::exchange::{ClientState, Exchange};
use crate::relay::ledger::{Due, Origin, Request, Settled};

pub(super) fn apply(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    settled: Settled,
) -> Result<(), ServerFault> {
    if !settled.effects.is_none() {
        session_state::keep(exchange, client, lease, settled.effects);
        if settled.is_bind && settled.effects.any_of(Effects::FOLLOWS) {
            exchange.changes.bind();
        }
    }
    // Last first, as each was noted on top of those before it.
    for due in settled.failed.into_iter().rev() {
        if due.origin.is_ours() {
            continue;
        }
        undo(exchange, client, lease, due);
    }
    Ok(())
}

/// The server has thrown a request away: what was noted when it was sent is not so.
pub(super) fn undo(exchange: &mut Exchange, client: &mut ClientState, lease: &mut Lease, due: Due) {
    if let Some(evicted) = due.evicted {
        return lease.server().statements.restore(*evicted);
    }
    match (due.request, due.origin, due.statement) {
        (Request::Parse, _, Some(statement)) => lease.server().statements.remove(&statement),
        (Request::Parse, Origin::Client | Origin::Replay, None) => exchange.unnamed_on_server = false,
        (Request::Parse, ..) => {}
        // The client had given up a name, and has it still.
        (_, _, Some(statement)) => {
            if let Some(name) = &due.client_name {
                // It was within the bounds before, so it still is.
                let _ = client.statements.insert(name, statement, usize::MAX);
            }
            return;
        }
        _ => return,
    }
    if let Some(name) = due.client_name {
        // A later Parse has already put another unnamed statement in this one's place.
        let superseded = name.is_empty() && exchange.ledger.prepares_unnamed();
        if !superseded {
            client.statements.remove(&name);
        }
    }
}
