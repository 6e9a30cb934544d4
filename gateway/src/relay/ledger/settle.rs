//! Holding what the server sends against what it owes.

use super::{Due, Ledger, Origin, Request};
use crate::relay::effects::Effects;

/// What to do with a reply.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the client's.
    Forward,
    /// It is ours.
    Swallow,
    /// It is nobody's: the connection cannot be trusted any more.
    OutOfSync,
}

/// What a reply changed.
#[derive(Debug, Default)]
pub struct Settled {
    /// Requests that the server has thrown away because of an error.
    pub failed: Vec<Due>,
    /// Effects of statements that have run.
    pub effects: Effects,
    /// They are of a statement that was bound and is still to be executed.
    pub is_bind: bool,
}

impl Ledger {
    /// Holds a reply from the server against what is due.
    pub fn settle(&mut self, tag: u8, settled: &mut Settled) -> Verdict {
        if self.skipping {
            if tag != b'Z' {
                return Verdict::OutOfSync;
            }
            self.skip_to_sync(settled);
        }
        let Some(front) = self.due.front() else {
            return Verdict::OutOfSync;
        };
        let verdict = verdict_for(front.origin, tag);
        let request = front.request;
        match (tag, request) {
            (b'1', Request::Parse) | (b'2', Request::Bind) | (b'3', Request::Close) => self.done(settled),
            (b'n' | b'T', Request::Describe) => self.done(settled),
            (b't', Request::Describe) => {}
            (b'C' | b'I' | b's', Request::Execute) => {
                self.copy_in = false;
                self.done(settled);
            }
            (b'C' | b'I', Request::Query) => {
                (self.copy_in, self.answered) = (false, true);
                settled.effects |= std::mem::replace(&mut self.due[0].effects, Effects::NONE);
            }
            (b'T', Request::Query) | (b'D' | b'H' | b'd' | b'c', Request::Query | Request::Execute) => {}
            (b'G' | b'W', Request::Query | Request::Execute) => self.copy_begins(),
            (b'V', Request::FunctionCall) => self.answered = true,
            (b'E', _) => {
                self.answered = true;
                // A lock that was taken before the error is still held.
                settled.effects |= std::mem::replace(&mut self.due[0].effects, Effects::NONE);
                self.counts.subtract(&self.due[0]);
                settled.failed.extend(self.due[0].take_name_given_up());
                self.counts.add(&self.due[0]);
                self.fail(request, settled);
            }
            (b'Z', request) if request == Request::Sync || (request.ends_with_ready() && self.answered) => {
                self.done(settled);
                let mut sent_since = self.due.iter().rev().take_while(|due| !due.request.ends_with_ready());
                self.owes_sync = sent_since.any(|due| due.request.is_extended());
            }
            _ => return Verdict::OutOfSync,
        }
        verdict
    }

    /// The request under way has failed and is going to be made again: nothing of it is the client's any more.
    /// The server throws away what it has of it up to a Sync, which is the client's or, when it returns `true`,
    /// must be sent by us. Nothing but this request may be due.
    pub fn disown_request(&mut self, settled: &mut Settled) -> bool {
        self.copy_in = false;
        self.skip_to_sync(settled);
        match self.due.front_mut() {
            Some(sync) => {
                self.counts.subtract(sync);
                sync.origin = Origin::Replay;
                self.counts.add(sync);
                false
            }
            None => true,
        }
    }

    fn done(&mut self, settled: &mut Settled) {
        if let Some(due) = self.pop() {
            settled.effects |= due.effects;
            settled.is_bind |= due.request == Request::Bind;
            self.pass_copy_ends();
        }
    }

    /// In copy-in mode the server ignores Sync until the data end, also one that was sent before it
    /// announced the mode. COPY sent with Execute and Sync at once does just that.
    fn copy_begins(&mut self) {
        let data_end = self.due.iter().position(|due| due.request == Request::CopyEnd);
        self.copy_in = data_end.is_none();
        let mut index = 0;
        let limit = data_end.unwrap_or(self.due.len());
        self.due.retain(|due| {
            let ignored = index < limit && due.request == Request::Sync;
            if ignored {
                self.counts.subtract(due);
            }
            index += 1;
            !ignored
        });
    }

    /// After an error the server throws away everything up to the next Sync, which the client may not
    /// have sent yet. A simple query or a function call answers ReadyForQuery all the same.
    fn fail(&mut self, request: Request, settled: &mut Settled) {
        self.copy_in = false;
        if !request.ends_with_ready() {
            self.skip_to_sync(settled);
        }
    }

    fn skip_to_sync(&mut self, settled: &mut Settled) {
        while self.due.front().is_some_and(|due| due.request != Request::Sync) {
            settled.failed.extend(self.pop());
        }
        self.skipping = self.due.is_empty();
    }
}

fn verdict_for(origin: Origin, tag: u8) -> Verdict {
    match (origin, tag) {
        (Origin::Client, _) | (Origin::Replay, b'E') => Verdict::Forward,
        (Origin::Replay | Origin::Setup | Origin::Question, _) => Verdict::Swallow,
        // The server cannot answer what was never sent to it.
        (Origin::Local, _) => Verdict::OutOfSync,
    }
}
