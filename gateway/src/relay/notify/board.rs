//! Who listens to what, and what the listener is still to be asked for.

use super::lost::Lost;
use super::mailbox::Mailbox;
use crate::relay::handover::ClientId;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Channels that the clients of one pool may listen to together. Whoever wants one more keeps its connection.
const CHANNELS_MAX: usize = 16 * 1024;

/// A channel's name as PostgreSQL knows it.
pub type ChannelName = Box<[u8]>;

/// The clients of one listener.
#[derive(Debug, Default)]
pub struct Board {
    state: Mutex<State>,
    /// Rung when there is something for the listener to do.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    clients: HashMap<ClientId, Arc<Mailbox>>,
    channels: HashMap<ChannelName, Channel>,
    /// Channels that the listener does not listen to yet.
    unheard: Vec<ChannelName>,
    /// Channels that somebody has left.
    left: Vec<ChannelName>,
    /// Clients that wait for an answer.
    asking: Vec<Arc<Mailbox>>,
    is_closed: bool,
}

#[derive(Debug, Default)]
struct Channel {
    clients: HashMap<ClientId, Arc<Mailbox>>,
    heard: Heard,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Heard {
    #[default]
    No,
    /// The listener is being asked.
    Asked,
    Yes,
}

/// What the listener is to ask of the server, all at once.
#[derive(Debug, Default)]
pub struct Question {
    /// Channels to listen to.
    pub listen: Vec<ChannelName>,
    /// Channels that nobody listens to any more.
    pub unlisten: Vec<ChannelName>,
    /// Who waits for the answer.
    asking: Vec<Arc<Mailbox>>,
}

/// There are too many channels.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

impl Board {
    /// A client comes. Says whether it may: nobody does once the board is closed.
    #[must_use]
    pub fn enter(&self, client: ClientId, mailbox: &Arc<Mailbox>) -> bool {
        let mut state = self.lock();
        if !state.is_closed {
            state.clients.insert(client, Arc::clone(mailbox));
        }
        !state.is_closed
    }

    /// A client goes, and with the last one the listener.
    pub fn leave(&self, client: ClientId, channels: &HashSet<ChannelName>) {
        let mut state = self.lock();
        state.clients.remove(&client);
        for name in channels {
            state.unlisten(client, name);
        }
        state.is_closed |= state.clients.is_empty();
        drop(state);
        self.changed.notify_one();
    }

    /// A client that has come listens to these as well. Says whether all of them are heard already.
    ///
    /// # Errors
    /// There are too many; it listens to none of them.
    pub fn listen(&self, client: ClientId, names: &[ChannelName]) -> Result<bool, Full> {
        let mut state = self.lock();
        let Some(mailbox) = state.clients.get(&client).cloned() else { return Ok(false) };
        let new = names.iter().filter(|name| !state.channels.contains_key(*name)).count();
        if state.channels.len() + new > CHANNELS_MAX {
            return Err(Full);
        }
        let mut is_heard = true;
        for name in names {
            if !state.channels.contains_key(name) {
                state.unheard.push(name.clone());
            }
            let channel = state.channels.entry(name.clone()).or_default();
            channel.clients.insert(client, Arc::clone(&mailbox));
            is_heard &= channel.heard == Heard::Yes;
        }
        drop(state);
        self.changed.notify_one();
        Ok(is_heard)
    }

    /// A client no longer listens to these.
    pub fn unlisten(&self, client: ClientId, names: &[ChannelName]) {
        let mut state = self.lock();
        for name in names {
            state.unlisten(client, name);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// A client waits until the listener has answered: it listens to all that was wanted before, and what was
    /// notified before is in the mailboxes.
    pub fn ask(&self, mailbox: &Arc<Mailbox>) {
        let mut state = self.lock();
        mailbox.asks();
        if state.is_closed {
            mailbox.lose(Lost::Listener);
        } else {
            state.asking.push(Arc::clone(mailbox));
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Nobody is listened for any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Ends it. Everybody on it is told.
    pub fn close(&self, lost: Lost) {
        let mut state = self.lock();
        state.is_closed = true;
        state.asking.clear();
        for mailbox in state.clients.values() {
            mailbox.lose(lost);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Resolves when there may be something for the listener to do.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// What is to be asked of the server now.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        let mut state = self.lock();
        let state = &mut *state;
        let mut question = Question { asking: std::mem::take(&mut state.asking), ..Question::default() };
        for name in std::mem::take(&mut state.left) {
            let is_left = state.channels.get(&name).is_some_and(|channel| channel.clients.is_empty());
            if is_left {
                state.channels.remove(&name);
                question.unlisten.push(name);
            }
        }
        for name in std::mem::take(&mut state.unheard) {
            if let Some(channel) = state.channels.get_mut(&name)
                && channel.heard == Heard::No
            {
                channel.heard = Heard::Asked;
                question.listen.push(name);
            }
        }
        let asks =
            !(question.listen.is_empty() && question.unlisten.is_empty() && question.asking.is_empty());
        asks.then_some(question)
    }

    /// The server has done what it was asked for.
    pub fn answered(&self, question: Question) {
        let mut state = self.lock();
        for name in &question.listen {
            if let Some(channel) = state.channels.get_mut(name) {
                channel.heard = Heard::Yes;
            }
        }
        drop(state);
        for mailbox in question.asking {
            mailbox.answer();
        }
    }

    /// Puts a notification into the mailboxes of all who listen to its channel.
    pub fn dispatch(&self, channel: &[u8], message: &[u8]) {
        let state = self.lock();
        let clients = state.channels.get(channel).map(|channel| channel.clients.values());
        clients.into_iter().flatten().for_each(|mailbox| mailbox.put(message));
    }

    /// How many clients, and how many channels.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        let state = self.lock();
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        (count(state.clients.len()), count(state.channels.len()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn unlisten(&mut self, client: ClientId, name: &ChannelName) {
        let Some(channel) = self.channels.get_mut(name) else { return };
        channel.clients.remove(&client);
        if channel.clients.is_empty() {
            self.left.push(name.clone());
        }
    }
}

#[cfg(test)]
mod tests;
