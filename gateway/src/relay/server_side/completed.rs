//! A statement has run: what its tag tells of names and of the schema.

use super::{ServerFault, Step, reply, session_state, whole_body};
use crate::pool::Lease;
use crate::relay::changes::Told;
use crate::relay::effects::Effects;
use crate::relay::exchange::{ClientState, Exchange};
use crate::relay::ledger::Origin;
use crate::relay::pin::PinReason;
use crate::relay::prepared::reading;
use pgwire::backend;
use pgwire::frame::Header;

pub(super) fn command_complete(
    exchange: &mut Exchange,
    client: &mut ClientState,
    lease: &mut Lease,
    header: Header,
) -> Result<Step, ServerFault> {
    if exchange.ledger.current_origin().is_some_and(Origin::is_ours) {
        return reply(exchange, client, lease, header);
    }
    exchange.pace.statement_ended();
    let is_ours = exchange.deallocates_for_client;
    let Some(body) = whole_body(exchange, header)? else { return Ok(Step::NeedMore) };
    let tag = backend::command_complete(body).map_err(|_malformed| ServerFault::OutOfSync)?;
    let told = Told::by(tag);
    let changes_names = !reading::is_plain_tag(tag);
    let changes_schema = changes_names && reading::changes_schema(tag);
    let mut is_discard = false;
    match tag {
        b"DISCARD ALL" => {
            lease.server().statements.clear();
            client.statements.clear();
            exchange.unnamed_on_server = false;
            is_discard = true;
        }
        b"DEALLOCATE ALL" => {
            lease.server().statements.clear();
            client.statements.clear_named();
        }
        // A client that keeps no connection has prepared nothing in SQL: it has named one of ours.
        b"DEALLOCATE" if client.pin.is_none() && !is_ours => exchange.doubtful = true,
        _ => {}
    }
    exchange.names_changed |= changes_names;
    session_state::completed(exchange, told);
    if changes_schema {
        note_schema_change(exchange, client, lease);
    }
    let step = reply(exchange, client, lease, header)?;
    if is_discard {
        session_state::discarded(exchange, client, lease);
    }
    Ok(step)
}

/// What others have prepared may be out of date; again when the transaction ends, as nobody else sees it before. A
/// temporary table is nobody else's.
fn note_schema_change(exchange: &mut Exchange, client: &ClientState, lease: &Lease) {
    let effects = exchange.ledger.next_of_server().map_or(Effects::NONE, |due| due.effects);
    if client.pin != Some(PinReason::Temporary) && !effects.any_of(Effects::TEMPORARY) {
        lease.pool().statements().schema_changed();
        exchange.schema_changed = true;
    }
}
