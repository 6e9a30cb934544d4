//! Bytes to the server and from it.

use super::super::super::fault::Fault;
use super::Conversation;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncReadExt, AsyncWrite};

impl Conversation {
    /// Moves what can be moved, in either direction, and waits only when that is nothing.
    pub(super) async fn move_bytes(&mut self) -> Result<(), Fault> {
        poll_fn(|cx| {
            let sent = self.poll_send(cx);
            match self.poll_receive(cx) {
                Poll::Pending if sent => Poll::Ready(Ok(())),
                received => received,
            }
        })
        .await
    }

    /// Sends what the server takes. Says whether that was anything.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> bool {
        let written_before = self.written;
        let mut stream = self.lease.server().stream();
        while self.written < self.outbound.len() {
            match stream.as_mut().poll_write(cx, &self.outbound[self.written..]) {
                Poll::Ready(Ok(written @ 1..)) => self.written += written,
                Poll::Ready(Ok(0) | Err(_)) => {
                    // Its last words, if any, are still to be read.
                    self.written = self.outbound.len();
                    self.unfit = true;
                }
                Poll::Pending => break,
            }
        }
        // An encrypted stream may have kept some of it back.
        if let Poll::Ready(Err(_broken)) = stream.poll_flush(cx) {
            self.unfit = true;
        }
        self.written > written_before
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let mut stream = self.lease.server().stream();
        let read = pin!(stream.read_buf(&mut self.inbound)).poll(cx);
        match ready!(read) {
            Ok(0) | Err(_) => {
                if !self.ledger.is_empty() {
                    self.lease.server().left_at_work();
                }
                Poll::Ready(Err(Fault::Lost))
            }
            Ok(read) => {
                self.read += u64::try_from(read).unwrap_or(u64::MAX);
                Poll::Ready(Ok(()))
            }
        }
    }

    pub(in crate::http::query) fn count_bytes(&mut self) {
        let usage = self.lease.pool().usage();
        usage
            .bytes_to_server
            .add(u64::try_from(self.written.saturating_sub(self.counted)).unwrap_or(u64::MAX));
        self.counted = self.written;
        usage.bytes_to_client.add(std::mem::take(&mut self.read));
    }
}
