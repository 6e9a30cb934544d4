//! From a client's name of a statement to one that the leased connection has.

use crate::error::Refusal;
use crate::pool::Lease;
use crate::relay::effects::Effects;
use crate::relay::exchange::{ClientState, Exchange};
use crate::relay::ledger::{Due, Origin, Request};
use crate::relay::prepared::{NAME_PREFIX, NO_STATEMENT, Statement};
use pgwire::frontend::write;
use std::sync::Arc;

/// What a client means by a statement's name.
pub(super) enum Target {
    /// A statement that it prepared by Parse.
    Known(Arc<Statement>),
    /// Its unnamed statement; `true` if the connection lacks it.
    Unnamed(bool),
    /// Nothing of the kind, and the name must not reach one of ours.
    Nothing,
    /// A name that only the server can know: one prepared in SQL.
    Foreign,
}

impl Target {
    /// What is meant by the name, as far as we know.
    pub(super) fn of(exchange: &Exchange, client: &ClientState, name: &[u8]) -> Self {
        if name.is_empty() {
            if client.statements.unnamed().is_present() {
                Self::Unnamed(!exchange.unnamed_on_server)
            } else {
                Self::Nothing
            }
        } else if let Some(statement) = client.statements.named(name) {
            Self::Known(Arc::clone(statement))
        } else if name.starts_with(NAME_PREFIX.as_bytes()) {
            Self::Nothing
        } else {
            Self::Foreign
        }
    }

    /// Makes sure that the connection has the statement. Returns the name to use in place of the client's.
    pub(super) fn prepare(
        &self,
        exchange: &mut Exchange,
        client: &ClientState,
        lease: &mut Lease,
    ) -> Result<Option<&[u8]>, Refusal> {
        Ok(match self {
            Self::Known(statement) => {
                ensure_prepared(exchange, lease, statement)?;
                Some(statement.server_name())
            }
            Self::Unnamed(missing) => {
                if *missing {
                    exchange
                        .up
                        .stage(|out| write::parse_raw(out, b"", client.statements.unnamed().body()))?;
                    exchange.ledger.expect(Due::of(Request::Parse, Origin::Replay));
                    exchange.unnamed_on_server = true;
                }
                None
            }
            Self::Nothing => Some(NO_STATEMENT),
            Self::Foreign => None,
        })
    }

    /// What running it leaves behind in the session.
    pub(super) fn effects(&self, client: &ClientState) -> Effects {
        match self {
            Self::Known(statement) => statement.effects(),
            Self::Unnamed(_) => client.statements.unnamed().effects(),
            Self::Nothing | Self::Foreign => Effects::NONE,
        }
    }

    /// The message has to wait: an earlier request prepares what it names, and may fail yet.
    pub(super) fn is_uncertain(&self, exchange: &Exchange, name: &[u8]) -> bool {
        matches!(self, Self::Known(statement) if exchange.ledger.is_uncertain(statement, name))
    }
}

pub(super) fn ensure_prepared(
    exchange: &mut Exchange,
    lease: &mut Lease,
    statement: &Arc<Statement>,
) -> Result<(), Refusal> {
    if !lease.server().statements.has(statement) {
        stage_parse(exchange, lease, statement)?;
        let due = Due { statement: Some(Arc::clone(statement)), ..Due::of(Request::Parse, Origin::Replay) };
        exchange.ledger.expect(due);
    }
    Ok(())
}

/// Sends a Parse of ours; the caller notes who gets its reply.
pub(super) fn stage_parse(
    exchange: &mut Exchange,
    lease: &mut Lease,
    statement: &Arc<Statement>,
) -> Result<(), Refusal> {
    while let Some(crowded_out) = lease.server().statements.crowded_out_by(statement) {
        exchange.up.stage(|out| write::close(out, b'S', crowded_out.server_name()))?;
        let due = Due { statement: Some(crowded_out), ..Due::of(Request::Close, Origin::Replay) };
        exchange.ledger.expect(due);
    }
    lease.server().statements.add(statement);
    exchange.up.stage(|out| write::parse_raw(out, statement.server_name(), statement.body()))?;
    Ok(())
}
