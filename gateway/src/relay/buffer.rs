//! The bytes under way in one direction.
//!
//! A [`Flow`] reads into one buffer, notes which pieces of it to forward and what to put between them,
//! and writes all of it with as few system calls as it can.

use crate::error::Refusal;
use pgwire::frame::{Header, peek_header};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tenancy::ErrorKind;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What one read takes at most. Larger messages pass through in parts.
pub const BUFFER_BYTES: usize = 16 * 1024;

/// Pieces that a flow keeps room for; an exchange with more is unusual.
const PIECES_KEPT: usize = 64;

/// Slices handed to one `writev`; the kernel takes up to 1,024, but exchanges rarely have more than a few.
const SLICES_MAX: usize = 16;

/// A part of what is to be written next.
#[derive(Debug, Clone)]
enum Piece {
    /// Bytes as they were read.
    Input(Range<usize>),
    /// Bytes of our own.
    Staged(Range<usize>),
}

/// One direction of an exchange.
pub struct Flow {
    data: Vec<u8>,
    /// The first byte not yet looked at.
    cursor: usize,
    /// The end of what was read.
    end: usize,
    /// Bytes of the current message still to be forwarded unseen.
    pass: usize,
    /// Bytes of the current message still to be thrown away unseen.
    skip: usize,
    pieces: Vec<Piece>,
    staged: Vec<u8>,
    /// How many pieces, and how many bytes of the next, are written.
    written: (usize, usize),
    bytes_written: u64,
}

impl Flow {
    /// An empty flow.
    #[must_use]
    pub fn new() -> Self {
        Self {
            data: vec![0; BUFFER_BYTES],
            cursor: 0,
            end: 0,
            pass: 0,
            skip: 0,
            pieces: Vec::new(),
            staged: Vec::new(),
            written: (0, 0),
            bytes_written: 0,
        }
    }

    /// Makes it as good as new, keeping its memory but for what an unusually large message took.
    pub fn reset(&mut self) {
        self.data.truncate(BUFFER_BYTES);
        self.data.shrink_to(BUFFER_BYTES);
        self.pieces.clear();
        self.pieces.shrink_to(PIECES_KEPT);
        self.staged.clear();
        self.staged.shrink_to(BUFFER_BYTES);
        (self.cursor, self.end, self.pass, self.skip) = (0, 0, 0, 0);
        (self.written, self.bytes_written) = ((0, 0), 0);
    }

    /// The bytes that were read and not yet looked at.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        &self.data[self.cursor..self.end]
    }

    /// The header of the next message, once it has arrived.
    ///
    /// # Errors
    /// A length that no message has, or more than `message_bytes_max`.
    pub fn next_header(&self, message_bytes_max: usize) -> Result<Option<Header>, Refusal> {
        let header = peek_header(self.unread()).map_err(|error| Refusal::protocol(error.to_string()))?;
        match header {
            Some(header) if header.len > message_bytes_max => Err(Refusal::new(
                ErrorKind::TooLarge,
                format!("a message of {} bytes is larger than the {message_bytes_max} allowed", header.len),
            )),
            header => Ok(header),
        }
    }

    /// Is the flow between two messages, with nothing read ahead and nothing left to write?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cursor == self.end && self.at_boundary() && self.is_written()
    }

    /// Between two messages, as far as it was looked at.
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        self.pass == 0 && self.skip == 0
    }

    /// Bytes of our own that wait to be written.
    #[must_use]
    pub fn staged_len(&self) -> usize {
        self.staged.len()
    }

    /// Nothing is left to write.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Bytes written since the last call.
    pub fn take_bytes_written(&mut self) -> u64 {
        std::mem::take(&mut self.bytes_written)
    }

    /// Continues a message whose beginning was already dealt with. Says whether a new one begins.
    pub fn continue_message(&mut self) -> bool {
        let available = self.end - self.cursor;
        let skipped = self.skip.min(available);
        self.skip -= skipped;
        self.cursor += skipped;
        let passed = self.pass.min(available - skipped);
        self.pass -= passed;
        self.push_input(passed);
        self.at_boundary()
    }

    /// Forwards the next message as it is, as far as it has arrived; the rest follows unseen.
    pub fn forward(&mut self, length: usize) {
        self.pass = length;
        self.continue_message();
    }

    /// Throws the next message away.
    pub fn discard(&mut self, length: usize) {
        self.skip = length;
        self.continue_message();
    }

    /// Throws away the message's first `head` bytes, for which something else was staged, and
    /// forwards the rest of its `length` bytes.
    pub fn forward_tail(&mut self, head: usize, length: usize) {
        self.cursor += head;
        self.pass = length - head;
        self.continue_message();
    }

    /// Lets `write` append bytes of our own after what is already noted for writing.
    pub fn stage<R>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        self.stage_from_unread(|_unread, out| write(out))
    }

    /// Like [`Flow::stage`] with the unread bytes at hand, for messages that are rewritten.
    pub fn stage_from_unread<R>(&mut self, write: impl FnOnce(&[u8], &mut Vec<u8>) -> R) -> R {
        let from = self.staged.len();
        let written = write(&self.data[self.cursor..self.end], &mut self.staged);
        let to = self.staged.len();
        match self.pieces.last_mut() {
            Some(Piece::Staged(range)) if range.end == from => range.end = to,
            _ if from < to => self.pieces.push(Piece::Staged(from..to)),
            _ => {}
        }
        written
    }

    /// Takes over bytes that were read before the flow began.
    pub fn preload(&mut self, bytes: &[u8]) {
        self.reserve(self.end - self.cursor + bytes.len());
        self.data[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// Makes room for a message that must be whole before it can be dealt with.
    pub fn reserve(&mut self, message_len: usize) {
        self.compact();
        if message_len > self.data.len() {
            self.data.resize(message_len, 0);
        }
    }

    /// The next message fills the buffer and is still not whole.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.end - self.cursor == self.data.len()
    }

    /// Reads once, if everything noted for writing is written and there is room. `Ok(0)` is the end.
    pub fn poll_fill<S: AsyncRead>(
        &mut self,
        cx: &mut Context<'_>,
        from: Pin<&mut S>,
    ) -> Poll<io::Result<usize>> {
        if self.end == self.data.len() {
            self.compact();
        }
        let mut space = ReadBuf::new(&mut self.data[self.end..]);
        ready!(from.poll_read(cx, &mut space))?;
        let read = space.filled().len();
        self.end += read;
        Poll::Ready(Ok(read))
    }

    /// May [`Flow::poll_fill`] be called: is there room once what is pending is written?
    #[must_use]
    pub fn may_fill(&self) -> bool {
        self.is_written() && !self.is_full()
    }

    /// Writes what is noted, as far as the socket takes it. Ready when everything is written.
    pub fn poll_flush<S: AsyncWrite>(
        &mut self,
        cx: &mut Context<'_>,
        mut to: Pin<&mut S>,
    ) -> Poll<io::Result<()>> {
        while self.written.0 < self.pieces.len() {
            let wrote = if self.pieces.len() - self.written.0 == 1 {
                let slice = self.slice(self.written.0);
                ready!(to.as_mut().poll_write(cx, slice))?
            } else {
                let mut slices = [IoSlice::new(&[]); SLICES_MAX];
                let mut used = 0;
                for (slot, piece) in slices.iter_mut().zip(self.written.0..self.pieces.len()) {
                    *slot = IoSlice::new(self.slice(piece));
                    used += 1;
                }
                ready!(to.as_mut().poll_write_vectored(cx, &slices[..used]))?
            };
            if wrote == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(wrote);
        }
        // An encrypted stream may have kept some of it back.
        ready!(to.poll_flush(cx))?;
        self.pieces.clear();
        self.staged.clear();
        self.written = (0, 0);
        if self.cursor == self.end {
            (self.cursor, self.end) = (0, 0);
        }
        Poll::Ready(Ok(()))
    }

    fn slice(&self, piece: usize) -> &[u8] {
        let done = if piece == self.written.0 { self.written.1 } else { 0 };
        match &self.pieces[piece] {
            Piece::Input(range) => &self.data[range.start + done..range.end],
            Piece::Staged(range) => &self.staged[range.start + done..range.end],
        }
    }

    fn advance(&mut self, mut wrote: usize) {
        self.bytes_written += wrote as u64;
        while wrote > 0 {
            let rest = self.slice(self.written.0).len();
            if wrote < rest {
                self.written.1 += wrote;
                return;
            }
            wrote -= rest;
            self.written = (self.written.0 + 1, 0);
        }
    }

    fn push_input(&mut self, length: usize) {
        if length == 0 {
            return;
        }
        let range = self.cursor..self.cursor + length;
        self.cursor = range.end;
        match self.pieces.last_mut() {
            Some(Piece::Input(last)) if last.end == range.start => last.end = range.end,
            _ => self.pieces.push(Piece::Input(range)),
        }
    }

    /// Moves what is unread to the front. Nothing may be waiting to be written.
    fn compact(&mut self) {
        debug_assert!(self.is_written(), "pieces point into the buffer");
        if self.cursor > 0 {
            self.data.copy_within(self.cursor..self.end, 0);
            self.end -= self.cursor;
            self.cursor = 0;
        }
    }
}

impl Default for Flow {
    fn default() -> Self {
        Self::new()
    }
}
