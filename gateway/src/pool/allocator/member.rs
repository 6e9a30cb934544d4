//! One pool as the allocator sees it.

use std::ops::AddAssign;

/// A member's number, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(u64);

impl MemberId {
    pub(super) fn new(number: u64) -> Self {
        Self(number)
    }
}

/// What becomes of a permit that is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Its connection is open, or being opened.
    #[default]
    Open,
    /// Its connection is being closed: it is on its way back.
    Closing,
    /// Its connection never became one. It is on its way back, and nothing is held against its member for it: a
    /// server that answers nobody would keep members from trying again.
    BrokenOff,
    /// Its connection was closed and the server does not let go of it. When it comes back nobody knows, so it counts
    /// as one that is open.
    Stuck,
}

/// Permits, by what becomes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    /// Permits out.
    pub(super) held: u32,
    /// Of these, granted and not noticed yet.
    pub(super) pending: u32,
    /// Of these, of connections that are being closed.
    pub(super) going: u32,
    /// Of these again, of logins that came to nothing.
    broken_off: u32,
    /// Of those held, of connections that were closed and that the server does not let go of.
    pub(super) stuck: u32,
    /// Of these, of idle connections that it was told to close and has not answered for.
    pub(super) evicting: u32,
    /// Of these, kept for longer than a transaction.
    pub(super) long: u32,
    /// Of these, to listen on.
    pub(super) listening: u32,
}

impl Counts {
    /// What is held and not given up.
    pub(super) fn kept(&self) -> u32 {
        self.held.saturating_sub(self.going + self.evicting)
    }

    /// What of that serves whoever comes, and not one client.
    pub(super) fn for_all(&self) -> u32 {
        self.kept().saturating_sub(self.long)
    }

    /// What can be given up in time: not what its client keeps, nor what the server does.
    pub(super) fn can_be_had(&self) -> u32 {
        self.kept().saturating_sub(self.long + self.stuck)
    }

    /// Connections that are open or being opened.
    pub(super) fn open(&self) -> u32 {
        self.held.saturating_sub(self.going + self.stuck)
    }

    /// The same and those that are ending.
    pub(super) fn with_ending(&self) -> u32 {
        self.held.saturating_sub(self.broken_off)
    }

    /// A permit passes from one phase to the next.
    pub(super) fn passes(&mut self, from: Phase, to: Phase) {
        for count in self.of(from).into_iter().flatten() {
            *count = count.saturating_sub(1);
        }
        for count in self.of(to).into_iter().flatten() {
            *count += 1;
        }
    }

    fn of(&mut self, phase: Phase) -> [Option<&mut u32>; 2] {
        match phase {
            Phase::Open => [None, None],
            Phase::Closing => [Some(&mut self.going), None],
            Phase::BrokenOff => [Some(&mut self.going), Some(&mut self.broken_off)],
            Phase::Stuck => [Some(&mut self.stuck), None],
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.held += other.held;
        self.pending += other.pending;
        self.going += other.going;
        self.broken_off += other.broken_off;
        self.stuck += other.stuck;
        self.evicting += other.evicting;
        self.long += other.long;
        self.listening += other.listening;
    }
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: MemberId,
    pub(super) counts: Counts,
    /// What it would take beyond what it has noticed.
    pub(super) wanted: u32,
    /// It was told to ask about every connection that is given back.
    pub(super) is_asked: bool,
    /// Which of all grants was its last.
    pub(super) served: u64,
}

impl Member {
    pub(super) fn new(id: MemberId) -> Self {
        Self { id, counts: Counts::default(), wanted: 0, is_asked: false, served: 0 }
    }

    /// What it would take beyond what it was granted.
    pub(super) fn unmet(&self) -> u32 {
        self.wanted.saturating_sub(self.counts.pending)
    }

    /// It has noticed a permit, and wants so many beyond it.
    pub(super) fn took(&mut self, wanted: u32) {
        self.counts.pending = self.counts.pending.saturating_sub(1);
        self.wanted = wanted;
    }

    /// One of its permits is free again, which was in this phase.
    pub(super) fn returned(&mut self, phase: Phase) {
        self.counts.passes(phase, Phase::Open);
        self.counts.held = self.counts.held.saturating_sub(1);
    }
}
