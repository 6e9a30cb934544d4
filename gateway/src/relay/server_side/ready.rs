//! The server is ready for the next request: what a transaction's end settles, and when the client hears of it.

use super::{ServerFault, Step, doubt_what_is_unreadable, reply, session_state, whole_body};
use crate::pool::Lease;
use crate::relay::exchange::{ClientState, Exchange};
use crate::relay::ledger::Origin;
use crate::relay::notify::settling;
use pgwire::backend::{self, TransactionStatus};
use pgwire::frame::Header;

/// No transaction is open, and none is on its way.
fn transaction_ended(exchange: &mut Exchange, lease: &mut Lease) {
    lease.server().statements.transaction_ended(std::mem::take(&mut exchange.names_changed));
    if std::mem::take(&mut exchange.schema_changed) {
        lease.pool().statements().schema_changed();
    }
    exchange.deallocates_for_client = false;
}

pub(super) fn ready(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    header: Header,
) -> Result<Step, ServerFault> {
    if exchange.channels.is_held() {
        // Everything but the client is done with it.
        let is_answered = settling::is_answered(client);
        return if is_answered { pass_ready(exchange, client, lease, header) } else { Ok(Step::NeedMore) };
    }
    let Some(body) = whole_body(exchange, header)? else { return Ok(Step::NeedMore) };
    exchange.status = backend::ready_for_query(body).map_err(|_malformed| ServerFault::OutOfSync)?;
    let for_client = exchange.ledger.current_origin() == Some(Origin::Client);
    let is_idle = exchange.status == TransactionStatus::Idle;
    if for_client && is_idle {
        lease.pool().usage().transactions.inc();
    }
    exchange.pace.request_ended(is_idle);
    if for_client {
        exchange.pace.answered();
    }
    if for_client && exchange.ledger.leaves_changes_untold() {
        exchange.changes.untold();
    }
    if for_client {
        let was_reset = exchange.resetting || (is_idle && exchange.before_reset.is_some());
        session_state::settle(exchange, client, lease);
        if was_reset {
            session_state::tell_what_is_in_force(exchange, client, lease);
        }
    }
    if for_client && is_idle && settling::holds_back(exchange, client) {
        return Ok(Step::NeedMore);
    }
    pass_ready(exchange, client, lease, header)
}

/// The client hears that the server is ready, if it is to, and before that what it has been notified of.
fn pass_ready(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    header: Header,
) -> Result<Step, ServerFault> {
    let origin = exchange.ledger.current_origin();
    let is_idle = exchange.status == TransactionStatus::Idle;
    if is_idle && origin == Some(Origin::Client) && client.listening.is_some() {
        settling::tell(exchange, client, lease);
    }
    let was_setup = origin == Some(Origin::Setup);
    let step = reply(exchange, client, lease, header)?;
    if was_setup && exchange.ledger.current_origin() != Some(Origin::Setup) {
        doubt_what_is_unreadable(exchange, lease);
    }
    exchange.restage |= std::mem::take(&mut exchange.resetting);
    exchange.only_reads &= !is_idle;
    if exchange.status == TransactionStatus::Idle && exchange.ledger.is_empty() {
        transaction_ended(exchange, lease);
    }
    Ok(step)
}
