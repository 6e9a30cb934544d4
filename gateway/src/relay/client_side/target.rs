//! From a client's name of a statement to one that the leased connection has.

use crate::error::Refusal;
use crate::pool::Lease;
use crate::relay::effects::Effects;
use crate::relay::effects::change::{self, Change};
use crate::relay::exchange::{ClientState, Exchange};
use crate::relay::ledger::{Due, Origin, Request};
use crate::relay::prepared::{NAME_PREFIX, NO_STATEMENT, Statement, Unnamed, meaning, on_server};
use pgwire::frontend::write;
use std::sync::Arc;

/// What a client means by a statement's name.
pub(super) enum Target {
    /// A statement with a name of ours.
    Known(Arc<Statement>),
    /// Its unnamed statement, which is the server's too; `true` if the connection lacks it.
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
            match client.statements.unnamed() {
                Unnamed::None => Self::Nothing,
                Unnamed::Shared(statement) => Self::Known(Arc::clone(statement)),
                Unnamed::Own => Self::Unnamed(!exchange.unnamed_on_server),
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
                ensure_prepared(exchange, client, lease, statement)?;
                Some(statement.server_name())
            }
            Self::Unnamed(missing) => {
                if *missing {
                    exchange
                        .up
                        .stage(|out| write::parse_raw(out, b"", client.statements.own_text().body()))?;
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
            Self::Unnamed(_) => client.statements.own_text().effects(),
            Self::Nothing | Self::Foreign => Effects::NONE,
        }
    }

    /// Settings that it changes and that follow the client, the last one first.
    pub(super) fn changes(&self, client: &ClientState) -> Vec<Change> {
        if !self.effects(client).any_of(Effects::CHANGES) {
            return Vec::new();
        }
        let text = match self {
            Self::Known(statement) => statement.body(),
            Self::Unnamed(_) => client.statements.own_text().body(),
            Self::Nothing | Self::Foreign => b"",
        };
        change::last_first(text)
    }

    /// Might running it change what the names in later texts mean? Whoever has prepared in SQL keeps the
    /// connection, and is not asked.
    pub(super) fn changes_names(&self, client: &ClientState) -> bool {
        match self {
            Self::Known(statement) => !statement.is_plain(),
            Self::Unnamed(_) => !client.statements.own_text().is_plain(),
            Self::Nothing | Self::Foreign => false,
        }
    }

    /// The statement, if it has a name of ours: an error may tell that the server's is out of date.
    pub(super) fn into_statement(self) -> Option<Arc<Statement>> {
        match self {
            Self::Known(statement) => Some(statement),
            Self::Unnamed(_) | Self::Nothing | Self::Foreign => None,
        }
    }

    /// The message has to wait: an earlier request prepares what it names, and may fail yet.
    pub(super) fn is_uncertain(&self, exchange: &Exchange, name: &[u8]) -> bool {
        match self {
            Self::Known(statement) => exchange.ledger.is_uncertain(statement, name),
            Self::Unnamed(_) => exchange.ledger.is_unnamed_uncertain(),
            Self::Nothing | Self::Foreign => false,
        }
    }
}

pub(super) fn ensure_prepared(
    exchange: &mut Exchange,
    client: &ClientState,
    lease: &mut Lease,
    statement: &Arc<Statement>,
) -> Result<(), Refusal> {
    if lease.server().statements.has(statement) {
        lease.pool().statements().process().hits.inc();
        return Ok(());
    }
    // The client has changed settings since: the server is going to read the text by others than those by which
    // it is shared.
    exchange.names_changed |= !meaning::is_still_meant(&client.settings, statement);
    stage_parse(exchange, lease, statement)?;
    let due = Due { statement: Some(Arc::clone(statement)), ..Due::of(Request::Parse, Origin::Replay) };
    exchange.ledger.expect(due);
    Ok(())
}

/// Answers a client's Parse of a statement: by ourselves if the connection has it, else by preparing it.
pub(super) fn prepare_for(
    exchange: &mut Exchange,
    lease: &mut Lease,
    statement: Arc<Statement>,
    client_name: Box<[u8]>,
) -> Result<(), Refusal> {
    let schema = lease.pool().statements().schema();
    let client_name = Some(client_name);
    if lease.server().statements.has_current(&statement, schema) {
        lease.pool().statements().process().hits.inc();
        exchange.ledger.expect(Due { client_name, ..Due::of(Request::Parse, Origin::Local) });
    } else {
        stage_parse(exchange, lease, &statement)?;
        let due = Due { client_name, statement: Some(statement), ..Due::to_client(Request::Parse) };
        exchange.ledger.expect(due);
    }
    Ok(())
}

/// Sends a Parse of ours; the caller notes who gets its reply.
fn stage_parse(
    exchange: &mut Exchange,
    lease: &mut Lease,
    statement: &Arc<Statement>,
) -> Result<(), Refusal> {
    let Exchange { up, ledger, .. } = exchange;
    up.stage(|out| on_server::write_parse(lease, statement, out, |due| ledger.expect(due)))?;
    if exchange.names_changed || exchange.ledger.awaits_ready() {
        lease.server().statements.note_of_transaction(statement);
    }
    Ok(())
}
