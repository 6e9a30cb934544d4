//! What the running transaction changes in the session, and what of it is left when it has ended.
//!
//! Statements are answered in the order in which they ran, so their answers tell what was committed. Where
//! they do not (a part was rolled back to a savepoint), it is said that they do not, never guessed.

use super::effects::Effects;
use super::effects::change::Change;
use pgwire::backend::TransactionStatus;

/// Kinds of state that a rollback takes back.
const TRANSACTIONAL: [Effects; 8] = [
    Effects::SETTING,
    Effects::UNKNOWN_SETTING,
    Effects::ROLE,
    Effects::AUTHORIZATION,
    Effects::LISTEN,
    Effects::SUBSCRIBES,
    Effects::TEMPORARY,
    Effects::HOLD_CURSOR,
];

/// What the client listens to is changed.
const CHANNELS: Effects = Effects::SUBSCRIBES.or(Effects::UNSUBSCRIBES).or(Effects::LISTEN);

/// Changes that wait for the end of their transactions, and those of one text that are told apart.
pub const WAITING_MAX: usize = 256;

/// What a statement's completion tells of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It may have changed settings.
    Changed,
    /// It may have called what changes settings.
    Called,
    /// It has changed what the client listens to.
    Listened,
    /// A transaction was committed, or handed over to two-phase commit, which keeps its settings.
    Committed,
    /// Something was rolled back: everything, or all since a savepoint.
    RolledBack,
    /// Nothing.
    Nothing,
}

impl Told {
    /// What the tag of a completed statement tells.
    #[must_use]
    pub fn by(tag: &[u8]) -> Self {
        match tag {
            b"SET" | b"RESET" => Self::Changed,
            b"SELECT 1" => Self::Called,
            b"LISTEN" | b"UNLISTEN" => Self::Listened,
            b"COMMIT" | b"PREPARE TRANSACTION" => Self::Committed,
            b"ROLLBACK" => Self::RolledBack,
            _ => Self::Nothing,
        }
    }

    /// Is it this kind of change that it tells of?
    #[must_use]
    pub fn fits(self, change: &Change) -> bool {
        match change {
            Change::Called(_) => self == Self::Called,
            Change::Channel(_) => self == Self::Listened,
            Change::Set(_) | Change::Reset(_) | Change::ResetAll | Change::Nothing => self == Self::Changed,
        }
    }
}

/// Changes that wait for the end of their transaction.
#[derive(Debug, Default)]
pub struct Changes {
    pending: Vec<Change>,
    committed: Vec<Change>,
    /// What was left behind in earlier requests of the transaction, and in this one.
    left: (Effects, Effects),
    undone: Effects,
    /// Statements bound whose changes are still to be told.
    bound: usize,
    failed: bool,
    /// A ROLLBACK was answered: of everything, or to a savepoint.
    rolled_back: bool,
    /// A COMMIT was answered since the server was last ready.
    has_committed: bool,
    unclear: bool,
    /// What the client listens to is changed, or may be.
    touches_channels: bool,
    /// The search path may lead to temporary objects until the transaction ends.
    has_local_path: bool,
}

/// What there is to do when the server is ready.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settlement {
    /// These are in force for good.
    pub changes: Vec<Change>,
    /// This was left behind.
    pub left: Effects,
    /// And this is there no more.
    pub undone: Effects,
    /// Changes were taken back.
    pub rolled_back: bool,
    /// Settings are in force that we cannot tell.
    pub unclear: bool,
    /// Nor can we tell what of LISTEN and UNLISTEN is in force.
    pub channels_unclear: bool,
}

impl Changes {
    /// Nothing waits.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let is_told_nothing = !self.failed && !self.rolled_back && !self.has_committed && self.bound == 0;
        is_told_nothing
            && !self.unclear
            && !self.has_local_path
            && !self.touches_channels
            && self.pending.is_empty()
            && self.committed.is_empty()
            && (self.left.0 | self.left.1 | self.undone).is_none()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Statements with these effects are being carried out.
    pub fn note(&mut self, effects: Effects) {
        self.left.1 |= effects.staying().without(Effects::FOLLOWS | Effects::RESET_ALL | Effects::DISCARD);
        self.undone |= effects.undone();
        self.has_local_path |= effects.any_of(Effects::LOCAL_PATH);
        self.touches_channels |= effects.any_of(CHANNELS);
    }

    /// May what these effects make be temporary, although no text says so?
    #[must_use]
    pub fn hides_temporary(&self, effects: Effects) -> bool {
        let by_query = effects.any_of(Effects::MAKES) && !effects.any_of(Effects::WRITES);
        let makes = by_query || effects.any_of(Effects::DEFINES);
        makes && (self.has_local_path || effects.any_of(Effects::LOCAL_PATH))
    }

    /// Something was subscribed to that is not committed, as far as was told.
    #[must_use]
    pub fn subscribes(&self) -> bool {
        (self.left.0 | self.left.1).any_of(Effects::SUBSCRIBES)
    }

    /// A statement whose changes follow the client was bound.
    pub fn bind(&mut self) {
        self.bound += 1;
    }

    /// A statement of the extended protocol tells its changes.
    pub fn executed(&mut self) {
        self.bound = self.bound.saturating_sub(1);
    }

    /// A SET or RESET was carried out.
    pub fn push(&mut self, change: Change) {
        match change {
            Change::Nothing => return,
            // Whatever was set before is as it was at the start.
            Change::ResetAll => self.pending.retain(|change| matches!(change, Change::Channel(_))),
            Change::Set(_) | Change::Reset(_) | Change::Called(_) | Change::Channel(_) => {}
        }
        self.unclear |= self.rolled_back;
        self.make_room();
        self.pending.push(change);
    }

    /// A statement was completed. What a text asks behind its COMMIT of a LISTEN is asked before others can listen for
    /// the client: so it listens by itself.
    pub fn answered(&mut self, told: Told) {
        let goes_on = self.has_committed && !matches!(told, Told::Committed | Told::RolledBack);
        if goes_on && self.subscribes() {
            self.left.1 |= Effects::LISTEN;
        }
        match told {
            Told::Committed => {
                let untold = self.pending.is_empty() && (self.left.0 | self.left.1 | self.undone).is_none();
                if untold && !self.rolled_back {
                    return;
                }
                self.unclear |= self.rolled_back && !self.pending.is_empty();
                self.committed.append(&mut self.pending);
                (self.rolled_back, self.has_committed) = (false, true);
            }
            Told::RolledBack => self.rolled_back = true,
            Told::Changed | Told::Called | Told::Listened | Told::Nothing => {}
        }
    }

    /// A text has run, and not all changes that were read in it were told: others were taken for them.
    pub fn untold(&mut self) {
        self.unclear |= !self.failed;
    }

    /// Forgets the changes of a transaction that makes too many: then they cannot be told.
    fn make_room(&mut self) {
        if self.pending.len() + self.committed.len() >= WAITING_MAX {
            (self.pending, self.committed) = (Vec::new(), Vec::new());
            self.unclear = true;
        }
    }

    /// A statement has failed.
    pub fn fail(&mut self) {
        self.failed = true;
    }

    /// The server is ready for more. What can be said by now is no longer waited for.
    pub fn ready(&mut self, status: TransactionStatus) -> Settlement {
        let unbound = std::mem::take(&mut self.bound) > 0 && !self.failed;
        self.unclear |= unbound;
        if status == TransactionStatus::Idle { self.end() } else { self.pause() }
    }

    /// The transaction is over.
    fn end(&mut self) -> Settlement {
        let mut ended = std::mem::take(self);
        let taken_back = ended.failed || ended.rolled_back;
        if !taken_back {
            ended.committed.append(&mut ended.pending);
        }
        let (earlier, now) = ended.left;
        let all_taken_back = taken_back && !ended.has_committed;
        let left = match all_taken_back {
            false => earlier | now,
            // A text may go on behind its ROLLBACK.
            true if ended.rolled_back => lasting(earlier) | now,
            true => lasting(earlier | now),
        };
        let undone =
            if taken_back || ended.unclear { Effects::NONE } else { ended.undone.without(earlier | now) };
        Settlement {
            changes: ended.committed,
            left,
            undone,
            rolled_back: taken_back,
            unclear: ended.unclear,
            channels_unclear: ended.unclear && ended.touches_channels,
        }
    }

    /// The transaction goes on, or another has begun.
    fn pause(&mut self) -> Settlement {
        let changes = std::mem::take(&mut self.committed);
        let mut left = Effects::NONE;
        if self.has_committed {
            left = self.left.0 | self.left.1;
            (self.left, self.undone) = ((Effects::NONE, Effects::NONE), Effects::NONE);
        }
        if self.rolled_back {
            // To a savepoint: which changes came after it is not known.
            self.unclear |= !self.pending.is_empty();
            self.undone = Effects::NONE;
        }
        self.left = (self.left.0 | self.left.1, Effects::NONE);
        (self.rolled_back, self.has_committed, self.failed) = (false, false, false);
        Settlement { changes, left, ..Settlement::default() }
    }
}

fn lasting(effects: Effects) -> Effects {
    TRANSACTIONAL.into_iter().fold(effects, Effects::without)
}

#[cfg(test)]
mod tests;
