//! The request under way, kept as it came in case it has to be made again.
//!
//! Only what could be made again without anybody's noticing is kept: a small request outside of a
//! transaction of which nothing has been answered.

use pgwire::frame::Header;

/// Larger requests are not kept.
const BYTES_MAX: usize = 8 * 1024;

/// The request under way.
#[derive(Debug, Default)]
pub struct Recorded {
    bytes: Vec<u8>,
    state: State,
    /// The request says what its rows are to look like, by a Parse or by a Describe: the client relies on
    /// nothing that it was told before.
    describes: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is none that could be made again.
    #[default]
    None,
    /// It has begun.
    Open,
    /// Its Sync has come.
    Whole,
    /// It is being made again, once and no more.
    Again,
}

/// A point to go back to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark(usize, State, bool);

impl Recorded {
    /// Makes it as good as new.
    pub fn reset(&mut self) {
        self.bytes.clear();
        self.state = State::None;
    }

    /// Something of the request was answered, or it cannot be told what it does.
    pub fn give_up(&mut self) {
        self.state = State::None;
    }

    /// May the request be made again? Only one that describes its rows may get other ones.
    #[must_use]
    pub fn may_repeat(&self, rows_may_differ: bool) -> bool {
        matches!(self.state, State::Open | State::Whole) && (self.describes || !rows_may_differ)
    }

    /// The request, to be dealt with as if it had just arrived.
    pub fn repeat(&mut self) -> &[u8] {
        self.state = State::Again;
        &self.bytes
    }

    pub(super) fn mark(&self) -> Mark {
        Mark(self.bytes.len(), self.state, self.describes)
    }

    pub(super) fn go_back_to(&mut self, mark: Mark) {
        self.bytes.truncate(mark.0);
        (self.state, self.describes) = (mark.1, mark.2);
    }

    /// Takes down the next message. `begins`: a request may begin with it.
    pub(super) fn note(&mut self, header: Header, unread: &[u8], begins: bool) {
        match self.state {
            State::None if begins && matches!(header.tag, b'P' | b'B' | b'D') => {
                self.bytes.clear();
                (self.state, self.describes) = (State::Open, false);
            }
            State::Open => {}
            State::None | State::Again => return,
            // What follows is under way as well: it would be overtaken.
            State::Whole => return self.give_up(),
        }
        let is_extended = matches!(header.tag, b'P' | b'B' | b'D' | b'E' | b'C' | b'H' | b'S');
        if !is_extended || unread.len() < header.len || self.bytes.len() + header.len > BYTES_MAX {
            return self.give_up();
        }
        self.bytes.extend_from_slice(&unread[..header.len]);
        self.describes |= matches!(header.tag, b'P' | b'D');
        if header.tag == b'S' {
            self.state = State::Whole;
        }
    }
}
