//! What to do to which message.

use crate::{Direction, End};

/// Where in a message it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Nothing of the message has passed.
    Before,
    /// Half of it has.
    Within,
    /// All of it has, and nothing behind it.
    After,
}

/// A message that was not due. None of them belongs where it is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// ReadyForQuery, idle.
    Ready,
    /// A row with the text [`Lie::TEXT`].
    Row,
    /// CommandComplete.
    Complete,
    /// ParseComplete.
    Parsed,
    /// CopyInResponse.
    CopyIn,
    /// An error, not a fatal one.
    Error,
}

impl Lie {
    /// What a made-up row and a made-up error say.
    pub const TEXT: &str = "a lie";

    pub(super) const fn bytes(self) -> &'static [u8] {
        match self {
            Self::Ready => b"Z\0\0\0\x05I",
            Self::Row => b"D\0\0\0\x0f\0\x01\0\0\0\x05a lie",
            Self::Complete => b"C\0\0\0\x0dSELECT 1\0",
            Self::Parsed => b"1\0\0\0\x04",
            Self::CopyIn => b"G\0\0\0\x07\0\0\0",
            Self::Error => b"E\0\0\0\x21SERROR\0VERROR\0CXX000\0Ma lie\0\0",
        }
    }
}

/// What happens to a message, or from it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mischief {
    /// The connection ends.
    End(End),
    /// Bytes that mean nothing are put in; within a message they replace its rest.
    Garbage,
    /// It has a tag that no message has, or that of one that is never due.
    WrongTag,
    /// Its length is too small by one ([`Place::Before`]), too large by some ([`Place::Within`]), or
    /// negative ([`Place::After`]).
    WrongLength,
    /// It comes twice.
    Twice,
    /// Another message comes along with it.
    Lie(Lie),
    /// Another message follows it, on its own.
    LateLie(Lie),
    /// From here on bytes come one by one.
    Trickle,
    /// From here on messages are held back until no more come, and delivered together.
    Coalesce,
}

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Which way the message goes.
    pub direction: Direction,
    /// Which it is, counted from 0 since the plan was armed.
    pub message: usize,
    /// Where in it.
    pub place: Place,
    /// What happens.
    pub mischief: Mischief,
}
