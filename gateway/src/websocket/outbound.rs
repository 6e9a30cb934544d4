//! Frames to a client: each write becomes one, and what is to be said beside goes between two.
//!
//! Payload is written from where it lies. A frame that was begun is owed to its end: its header has told how long it is.

use super::decoder::{CONTROL_BYTES_MAX, Notice};
use crate::stream::ClientStream;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

/// Slices of payload written at once. What is left over is offered again by whoever writes.
const SLICES_MAX: usize = 16;

/// A pong, a ping and a Close with its code, each behind two bytes of header.
const HEAD_BYTES: usize = (2 + CONTROL_BYTES_MAX) + 2 + (2 + 2);

/// What is on its way to a client.
pub(super) struct Outbound {
    /// A header, or whole control frames: goes before anything else.
    head: [u8; HEAD_BYTES],
    /// How much of it there is.
    end: usize,
    /// How much of that is written.
    written: usize,
    /// Payload that the last header has announced and that has not been written.
    owed: usize,
    /// A ping of the client's that is to be answered. Only the last one has to be (§5.5.3).
    pong: Option<Notice>,
    ping: bool,
    close: Option<CloseCode>,
    /// A Close is in `head` or was sent: it is the last frame.
    is_closing: bool,
}

impl Outbound {
    pub(super) const fn new() -> Self {
        Self {
            head: [0; HEAD_BYTES],
            end: 0,
            written: 0,
            owed: 0,
            pong: None,
            ping: false,
            close: None,
            is_closing: false,
        }
    }

    /// Answers a ping between two frames.
    pub(super) fn pong(&mut self, notice: Notice) {
        self.pong = Some(notice);
    }

    /// Asks for a sign of life between two frames.
    pub(super) fn ping(&mut self) {
        self.ping = true;
    }

    /// Ends the frames. The first reason that is given counts.
    pub(super) fn close(&mut self, code: CloseCode) {
        self.close.get_or_insert(code);
    }

    /// Is there anything to be said between two frames?
    pub(super) const fn has_notices(&self) -> bool {
        let is_closed_soon = self.close.is_some() && !self.is_closing;
        self.end > 0 || self.pong.is_some() || self.ping || is_closed_soon
    }

    /// Writes payload as one frame, or goes on with one. Gives the number of its bytes that are written.
    pub(super) fn poll_payload(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut ClientStream,
        payload: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let payload = &payload[..payload.len().min(SLICES_MAX)];
        let length = payload.iter().map(|slice| slice.len()).sum::<usize>();
        if length == 0 {
            return Poll::Ready(Ok(0));
        }
        if self.owed == 0 {
            ready!(self.poll_notices(cx, stream))?;
            if self.is_closing {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            self.stage_header(OpCode::Data(Data::Binary), length);
            self.owed = length;
        }
        loop {
            let written = ready!(self.poll_slices(cx, stream, payload))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_head = written.min(self.end - self.written);
            self.head_written(of_head);
            if written > of_head {
                self.owed -= written - of_head;
                return Poll::Ready(Ok(written - of_head));
            }
        }
    }

    /// The head, and of the payload no more than is owed.
    fn poll_slices(
        &self,
        cx: &mut Context<'_>,
        stream: &mut ClientStream,
        payload: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX + 1];
        slices[0] = IoSlice::new(&self.head[self.written..self.end]);
        let (mut used, mut left) = (1, self.owed);
        for slice in payload {
            let taken = slice.len().min(left);
            slices[used] = IoSlice::new(&slice[..taken]);
            (used, left) = (used + 1, left - taken);
        }
        let first = usize::from(slices[0].is_empty());
        Pin::new(stream).poll_write_vectored(cx, &slices[first..used])
    }

    /// Writes what is to be said beside the payload, if no frame is under way. Ready when nothing of it is left to say now.
    pub(super) fn poll_notices(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut ClientStream,
    ) -> Poll<io::Result<()>> {
        if self.owed > 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            while self.written < self.end {
                let written =
                    ready!(Pin::new(&mut *stream).poll_write(cx, &self.head[self.written..self.end]))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.head_written(written);
            }
            if !self.stage_notices() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn stage_notices(&mut self) -> bool {
        if self.is_closing {
            return false;
        }
        if let Some(notice) = self.pong.take() {
            self.stage_header(OpCode::Control(Control::Pong), notice.bytes().len());
            self.stage(notice.bytes());
        }
        if std::mem::take(&mut self.ping) {
            self.stage_header(OpCode::Control(Control::Ping), 0);
        }
        if let Some(code) = self.close {
            self.is_closing = true;
            let code = u16::from(code).to_be_bytes();
            self.stage_header(OpCode::Control(Control::Close), code.len());
            self.stage(&code);
        }
        self.end > 0
    }

    /// The header of a frame of our own: whole, and not masked.
    fn stage_header(&mut self, opcode: OpCode, length: usize) {
        let header = FrameHeader { opcode, ..FrameHeader::default() };
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        let mut room = &mut self.head[self.end..];
        let before = room.len();
        header.format(length, &mut room).expect("the head has room for all that may stand in it");
        self.end += before - room.len();
    }

    fn stage(&mut self, bytes: &[u8]) {
        self.head[self.end..][..bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    fn head_written(&mut self, bytes: usize) {
        self.written += bytes;
        if self.written == self.end {
            (self.end, self.written) = (0, 0);
        }
    }
}
