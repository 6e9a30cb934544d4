//! A client's WebSocket as a stream of bytes.

use super::decoder::{Decoder, Signal};
use super::heart::{Beat, Heart};
use super::outbound::Outbound;
use crate::stream::ClientStream;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tungstenite::protocol::frame::coding::CloseCode;

/// What is read to find out whether a client is gone while nobody wants to read from it.
const AHEAD_BYTES: usize = 256;

/// A connection that was upgraded.
pub struct WebSocket {
    below: ClientStream,
    decoder: Decoder,
    outbound: Outbound,
    heart: Heart,
    /// Payload that was read before anybody asked for it. Empty but for moments.
    ahead: Vec<u8>,
    /// The client is gone, or was told that it has to go.
    is_over: bool,
}

impl WebSocket {
    /// Goes on where HTTP has ended. `early` is what was read beyond it. A client that is silent for `silence` is asked
    /// for a sign of life.
    #[must_use]
    pub fn new(below: ClientStream, early: &[u8], silence: Duration) -> Self {
        let mut socket = Self {
            below,
            decoder: Decoder::new(),
            outbound: Outbound::new(),
            heart: Heart::new(silence),
            ahead: Vec::new(),
            is_over: false,
        };
        let mut ahead = early.to_vec();
        // What no client may send is noted, and shows when the rest is read.
        let length = socket.decode(&mut ahead).unwrap_or(0);
        ahead.truncate(length);
        socket.ahead = ahead;
        socket
    }

    /// The socket below.
    #[must_use]
    pub fn socket(&self) -> &TcpStream {
        self.below.socket()
    }

    /// Is it inside TLS?
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.below.is_encrypted()
    }

    /// The client has announced more than has been read.
    #[must_use]
    pub fn is_inside_frame(&self) -> bool {
        self.decoder.is_inside_frame()
    }

    /// As [`ClientStream::come_here`].
    ///
    /// # Errors
    /// As there.
    pub fn come_here(&mut self) -> io::Result<()> {
        self.heart.forget_timer();
        self.below.come_here()
    }

    /// As [`ClientStream::poll_readable`]. What the client sends beside its payload counts too.
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_over || !self.ahead.is_empty() || self.below.poll_readable(cx).is_ready() {
            return Poll::Ready(());
        }
        self.poll_heart(cx)
    }

    /// As [`ClientStream::poll_gone`]. A Close is the end as well.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.ahead.is_empty() {
            let mut bytes = [0; AHEAD_BYTES];
            let mut into = ReadBuf::new(&mut bytes);
            match self.poll_payload(cx, &mut into) {
                Poll::Ready(Ok(())) => self.ahead.extend_from_slice(into.filled()),
                Poll::Ready(Err(_gone)) => {}
                Poll::Pending => return self.poll_heart(cx),
            }
        }
        if self.is_over { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Reads payload. The end is an error, however it comes about: nobody reads on who has closed a WebSocket.
    fn poll_payload(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while !self.is_over {
            let room = into.initialize_unfilled();
            let mut raw = ReadBuf::new(room);
            let read = ready!(Pin::new(&mut self.below).poll_read(cx, &mut raw)).map(|()| raw.filled().len());
            let Ok(read @ 1..) = read else { break };
            self.heart.hear();
            let payload = self.decode(&mut room[..read]);
            self.send_notices(cx);
            let payload = payload?;
            if payload > 0 {
                into.advance(payload);
                return Poll::Ready(Ok(()));
            }
        }
        self.is_over = true;
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }

    fn decode(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let Self { decoder, outbound, is_over, .. } = self;
        let decoded = decoder.decode(bytes, |signal| match signal {
            Signal::Ping(notice) => outbound.pong(notice),
            Signal::Close => {
                outbound.close(CloseCode::Normal);
                *is_over = true;
            }
        });
        Ok(decoded.inspect_err(|violation| {
            tracing::debug!(%violation, "a WebSocket is closed");
            outbound.close(violation.code());
            *is_over = true;
        })?)
    }

    /// Ready when the client has shown no sign of life for too long.
    fn poll_heart(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.outbound.has_notices() {
            self.send_notices(cx);
        }
        while let Beat::Ask = ready!(self.heart.poll(cx)) {
            self.outbound.ping();
            self.send_notices(cx);
        }
        tracing::debug!("a WebSocket's client does not answer");
        self.is_over = true;
        Poll::Ready(())
    }

    /// Says what is to be said beside the payload, as far as that can be done now. Whether the client is gone shows when
    /// it is read from.
    fn send_notices(&mut self, cx: &mut Context<'_>) {
        if let Poll::Ready(Ok(())) = self.outbound.poll_notices(cx, &mut self.below) {
            let _ = Pin::new(&mut self.below).poll_flush(cx);
        }
    }
}

impl AsyncRead for WebSocket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if into.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if !this.ahead.is_empty() {
            let taken = this.ahead.len().min(into.remaining());
            into.put_slice(&this.ahead[..taken]);
            this.ahead.drain(..taken);
            if this.ahead.is_empty() {
                this.ahead = Vec::new();
            }
            return Poll::Ready(Ok(()));
        }
        if let Poll::Ready(read) = this.poll_payload(cx, into) {
            return Poll::Ready(read);
        }
        this.poll_heart(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for WebSocket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.outbound.poll_payload(cx, &mut this.below, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.outbound.poll_notices(cx, &mut this.below))?;
        Pin::new(&mut this.below).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.outbound.close(CloseCode::Normal);
        ready!(this.outbound.poll_notices(cx, &mut this.below))?;
        Pin::new(&mut this.below).poll_shutdown(cx)
    }
}

/// Who only sees the end of TCP takes it for a fault of the network, and says so.
impl Drop for WebSocket {
    fn drop(&mut self) {
        self.outbound.close(CloseCode::Normal);
        // Waits for nothing: what the socket does not take at once is lost.
        self.send_notices(&mut Context::from_waker(Waker::noop()));
    }
}
