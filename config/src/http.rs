//! How results travel to HTTP clients. What a request may hold and how long it may take is in `limits`.

use crate::section::Section;
use serde::Serialize;
use std::str::FromStr;
use std::time::Duration;

/// A chunk of a stream is this large: a result that is held may not be smaller.
const CHUNK_BYTES: usize = 16 * 1024;

/// How results are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HttpConfig {
    /// `http.held_bytes`: the part of a result that is kept until the statement has ended, bytes, 262,144. Up to
    /// that, status and error are exact; a larger result is sent while the server still works, and breaks off if it
    /// fails then. Held once a request under way.
    pub held_bytes: usize,
    /// `http.row_bytes_max`: one row, bytes, 10,485,760. A row is in memory as a whole, everything else streams.
    pub row_bytes_max: usize,
    /// `http.stall_timeout_ms`: how long a client may take to read the next piece of a stream, milliseconds,
    /// 30,000. It then loses the rest, and the server connection goes to others.
    pub stall_timeout_ms: u64,
    /// `http.stream_timeout_ms`: a result that streams, from its first byte to its last, milliseconds, 600,000. The
    /// statement is cancelled when it passes.
    pub stream_timeout_ms: u64,
    /// `http.compression`: results are compressed for clients that accept it, true. It costs the gateway a few
    /// milliseconds of processor time for each megabyte.
    pub compression: bool,
    /// `http.statement_comment`: which requests' statements end in a comment that names tenant and request, `traced`. It
    /// is seen in the server's log and in `pg_stat_activity`; a statement that has one is parsed and planned each time.
    pub statement_comment: StatementComment,
}

/// Which requests' statements say whose they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StatementComment {
    /// None.
    Never,
    /// Those that say what they are part of, by `traceparent`.
    #[default]
    Traced,
    /// All.
    Always,
}

impl StatementComment {
    /// Has a request's statement one?
    #[must_use]
    pub const fn is_wanted(self, is_traced: bool) -> bool {
        match self {
            Self::Never => false,
            Self::Traced => is_traced,
            Self::Always => true,
        }
    }
}

impl FromStr for StatementComment {
    type Err = UnknownStatementComment;
    fn from_str(word: &str) -> Result<Self, UnknownStatementComment> {
        match word {
            "never" => Ok(Self::Never),
            "traced" => Ok(Self::Traced),
            "always" => Ok(Self::Always),
            _ => Err(UnknownStatementComment),
        }
    }
}

/// Neither of the three.
#[derive(Debug, thiserror::Error)]
#[error("must be never, traced or always")]
pub struct UnknownStatementComment;

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            held_bytes: 256 * 1024,
            row_bytes_max: 10 * 1024 * 1024,
            stall_timeout_ms: 30_000,
            stream_timeout_ms: 600_000,
            compression: true,
            statement_comment: StatementComment::Traced,
        }
    }
}

impl HttpConfig {
    /// [`Self::stall_timeout_ms`] as a duration.
    #[must_use]
    pub const fn stall_timeout(&self) -> Duration {
        Duration::from_millis(self.stall_timeout_ms)
    }

    /// [`Self::stream_timeout_ms`] as a duration.
    #[must_use]
    pub const fn stream_timeout(&self) -> Duration {
        Duration::from_millis(self.stream_timeout_ms)
    }

    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let defaults = Self::default();
        let mut bytes = |key, default, most| section.number(key, default, &(CHUNK_BYTES..=most));
        let held_bytes = bytes("held_bytes", defaults.held_bytes, 64 * 1024 * 1024);
        let row_bytes_max = bytes("row_bytes_max", defaults.row_bytes_max, 1024 * 1024 * 1024);
        let mut timeout = |key, default| section.number(key, default, &(100..=86_400_000));
        let stall_timeout_ms = timeout("stall_timeout_ms", defaults.stall_timeout_ms);
        let stream_timeout_ms = timeout("stream_timeout_ms", defaults.stream_timeout_ms);
        let read = Self {
            held_bytes,
            row_bytes_max,
            stall_timeout_ms,
            stream_timeout_ms,
            compression: section.flag("compression", defaults.compression),
            statement_comment: section.text("statement_comment", defaults.statement_comment),
        };
        section.finish();
        read
    }
}
