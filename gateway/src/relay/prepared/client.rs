//! The statements of one client, by its own names.

use super::reading;
use super::statement::{Statement, query_of};
use crate::relay::effects::{self, Effects};
use std::collections::HashMap;
use std::sync::Arc;

/// The buffer of an unnamed statement's text is given back when a longer one was in it.
const TEXT_BYTES_KEPT: usize = 2 * 1024;

/// A client's statements would take more memory than it is allowed.
#[derive(Debug)]
pub struct TooManyStatements;

/// The statements of one client.
#[derive(Debug, Default)]
pub struct ClientStatements {
    named: HashMap<Box<[u8]>, Arc<Statement>>,
    bytes: usize,
    unnamed: Unnamed,
    plain: OwnText,
}

/// A client's unnamed statement.
#[derive(Debug, Default, Clone)]
pub enum Unnamed {
    /// There is none.
    #[default]
    None,
    /// It has a name of ours on the servers.
    Shared(Arc<Statement>),
    /// It is the server's unnamed statement as well: see [`ClientStatements::own_text`].
    Own,
}

/// The text of an unnamed statement that has no name of ours, kept so that it can be prepared again on
/// another connection.
#[derive(Debug, Default)]
pub struct OwnText {
    body: Vec<u8>,
    effects: Effects,
    is_plain: bool,
    deallocates: Option<Box<[u8]>>,
}

impl OwnText {
    /// The Parse message's body after its (empty) name.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// What it leaves behind in the session.
    #[must_use]
    pub fn effects(&self) -> Effects {
        self.effects
    }

    /// See [`reading::is_plain`].
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// The client's name of the statement that it deallocates.
    #[must_use]
    pub fn deallocates(&self) -> Option<&[u8]> {
        self.deallocates.as_deref()
    }
}

impl ClientStatements {
    /// The statement of that name.
    #[must_use]
    pub fn named(&self, name: &[u8]) -> Option<&Arc<Statement>> {
        self.named.get(name)
    }

    /// The client has statements with names.
    #[must_use]
    pub fn has_named(&self) -> bool {
        !self.named.is_empty()
    }

    /// The unnamed statement.
    #[must_use]
    pub fn unnamed(&self) -> &Unnamed {
        &self.unnamed
    }

    /// The text of the unnamed statement, if it is [`Unnamed::Own`].
    #[must_use]
    pub fn own_text(&self) -> &OwnText {
        &self.plain
    }

    /// Gives a statement a name.
    ///
    /// # Errors
    /// The client's statements would take more than `bytes_max` bytes.
    pub fn insert(
        &mut self,
        name: &[u8],
        statement: Arc<Statement>,
        bytes_max: usize,
    ) -> Result<(), TooManyStatements> {
        let cost = statement.cost() + name.len();
        if self.bytes + cost > bytes_max {
            return Err(TooManyStatements);
        }
        self.remove(name);
        self.bytes += cost;
        self.named.insert(name.into(), statement);
        Ok(())
    }

    /// Forgets a name. The empty one is the unnamed statement.
    pub fn remove(&mut self, name: &[u8]) {
        if name.is_empty() {
            self.unnamed = Unnamed::None;
        } else if let Some(statement) = self.named.remove(name) {
            self.bytes -= statement.cost() + name.len();
        }
    }

    /// The unnamed statement is one with a name of ours.
    pub fn share_unnamed(&mut self, statement: Arc<Statement>) {
        self.unnamed = Unnamed::Shared(statement);
    }

    /// The unnamed statement is this, and unnamed on the server too. The buffer is used again for the next.
    pub fn own_unnamed(&mut self, body: &[u8], deallocates: Option<Box<[u8]>>) {
        let own = &mut self.plain;
        own.effects = effects::of_sql(query_of(body));
        if deallocates.is_some() {
            // What it names is ours, but to be given up and not to be run.
            own.effects = own.effects.without(Effects::UNKNOWN);
        }
        own.is_plain = !own.effects.any_of(Effects::STAYS) && reading::is_plain(query_of(body));
        own.deallocates = deallocates;
        own.body.clear();
        if body.len() <= TEXT_BYTES_KEPT {
            own.body.shrink_to(TEXT_BYTES_KEPT);
        }
        own.body.extend_from_slice(body);
        self.unnamed = Unnamed::Own;
    }

    /// The client has discarded those with names.
    pub fn clear_named(&mut self) {
        self.named.clear();
        self.bytes = 0;
    }

    /// The client has discarded all of them.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}
