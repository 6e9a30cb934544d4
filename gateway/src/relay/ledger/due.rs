//! One reply that is due, and how many there are of each kind.

use crate::error::Refusal;
use crate::relay::effects::Effects;
use crate::relay::effects::change::Change;
use crate::relay::prepared::{Evicted, Statement};
use std::sync::Arc;

/// What was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// A statement to prepare: answered by ParseComplete.
    Parse,
    /// Answered by BindComplete.
    Bind,
    /// Answered by RowDescription or NoData, for statements after ParameterDescription.
    Describe,
    /// Answered by rows and CommandComplete, EmptyQueryResponse or PortalSuspended.
    Execute,
    /// Answered by CloseComplete.
    Close,
    /// Answered by ReadyForQuery, whatever happened before.
    Sync,
    /// A simple query: anything, then ReadyForQuery.
    Query,
    /// Answered by FunctionCallResponse, then ReadyForQuery.
    FunctionCall,
    /// The client's end of a COPY. Not answered; it marks where the server leaves copy-in mode.
    CopyEnd,
}

impl Request {
    pub(super) fn ends_with_ready(self) -> bool {
        matches!(self, Self::Sync | Self::Query | Self::FunctionCall)
    }

    pub(super) fn is_extended(self) -> bool {
        matches!(self, Self::Parse | Self::Bind | Self::Describe | Self::Execute | Self::Close)
    }
}

/// Who gets the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The client asked; the reply is forwarded.
    Client,
    /// We prepared a statement again on the client's behalf; success is swallowed, an error is the
    /// client's, because what it asked for cannot be done.
    Replay,
    /// We set the session up; nothing of it is the client's business.
    Setup,
    /// We ask the database something, which it may fail to answer.
    Question,
    /// Nothing was sent: we answer, when its turn comes.
    Local,
}

/// One reply that is due.
#[derive(Debug)]
pub struct Due {
    /// What was sent.
    pub request: Request,
    /// Who gets the reply.
    pub origin: Origin,
    /// What the statement leaves behind in the session once it has run.
    pub effects: Effects,
    /// The statement that a Parse prepares on the server, that a Bind or Describe names, or that the client
    /// has given up.
    pub statement: Option<Arc<Statement>>,
    /// The statement that a Close of ours takes from the server.
    pub evicted: Option<Box<Evicted>>,
    /// The client's name for it, to be forgotten if it fails. Empty is the unnamed statement.
    pub client_name: Option<Box<[u8]>>,
    /// Settings that its statements change and that follow the client, the last one first.
    pub changes: Vec<Change>,
    /// The client's statement was refused, and another sent in its place: this is what its error is answered
    /// with.
    pub refusal: Option<Box<Refusal>>,
}

impl Origin {
    /// It is of what we send ahead of the client's first message.
    #[must_use]
    pub fn is_ours(self) -> bool {
        matches!(self, Self::Setup | Self::Question)
    }
}

impl Due {
    /// A reply to the client that needs no bookkeeping.
    #[must_use]
    pub fn to_client(request: Request) -> Self {
        Self::of(request, Origin::Client)
    }

    /// A reply of that kind and origin that needs no bookkeeping.
    #[must_use]
    pub fn of(request: Request, origin: Origin) -> Self {
        Self {
            request,
            origin,
            effects: Effects::NONE,
            statement: None,
            evicted: None,
            client_name: None,
            changes: Vec::new(),
            refusal: None,
        }
    }

    /// Does it depend on the reply which statements there are?
    pub(super) fn changes_names(&self) -> bool {
        self.request == Request::Parse || self.client_name.is_some() || self.evicted.is_some()
    }

    /// Does it depend on the reply which unnamed statement the client and the server have?
    pub(super) fn parses_unnamed(&self) -> bool {
        let is_unnamed = match &self.client_name {
            Some(name) => name.is_empty(),
            None => self.origin == Origin::Replay && self.statement.is_none(),
        };
        self.request == Request::Parse && is_unnamed
    }

    /// A simple query that gives up a statement's name, and has failed: the client has it still.
    pub(super) fn take_name_given_up(&mut self) -> Option<Self> {
        if self.request != Request::Query {
            return None;
        }
        let (client_name, statement) = (self.client_name.take()?, self.statement.take());
        Some(Self { statement, client_name: Some(client_name), ..Self::of(Request::Close, Origin::Local) })
    }
}

/// How many of the replies due are of a kind, so that nobody has to look through all of them.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    /// On them depends which statements the client or the server has by which names.
    pub(super) names: usize,
    /// They end with ReadyForQuery.
    pub(super) readies: usize,
    /// They end with ReadyForQuery, and are the client's.
    pub(super) client_readies: usize,
    /// They are ours to give.
    pub(super) locals: usize,
    /// They answer what we set the session up with.
    pub(super) setups: usize,
}

impl Counts {
    pub(super) fn add(&mut self, due: &Due) {
        let ready = due.request.ends_with_ready();
        self.names += usize::from(due.changes_names());
        self.readies += usize::from(ready);
        self.client_readies += usize::from(ready && due.origin == Origin::Client);
        self.locals += usize::from(due.origin == Origin::Local);
        self.setups += usize::from(due.origin.is_ours());
    }

    pub(super) fn subtract(&mut self, due: &Due) {
        let ready = due.request.ends_with_ready();
        self.names -= usize::from(due.changes_names());
        self.readies -= usize::from(ready);
        self.client_readies -= usize::from(ready && due.origin == Origin::Client);
        self.locals -= usize::from(due.origin == Origin::Local);
        self.setups -= usize::from(due.origin.is_ours());
    }
}
