//! A client's or a server's connection, encrypted or not.
//!
//! The relay reads and writes either kind by the same code. An enum and not a trait object, so that a
//! connection in clear costs a branch that is always predicted.
//!
//! An encrypted one differs in two ways. It may hold bytes that were received and not yet read, which the
//! socket's readiness knows nothing of: [`ClientStream::poll_readable`] and [`ServerStream::is_quiet`] do. And it
//! may keep back what was written until it is flushed.

use crate::tls::x509;
use crate::websocket::WebSocket;
use pgwire::scram::ChannelBinding;
use socket2::SockRef;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{client, server};

/// A client's connection.
pub enum ClientStream {
    /// In clear.
    Plain(TcpStream),
    /// Encrypted. Boxed: most of what a session of rustls is lies behind pointers, but not all.
    Tls(Box<Encrypted>),
    /// Inside the frames of a WebSocket, in clear or encrypted.
    WebSocket(Box<WebSocket>),
}

/// A client's encrypted connection. Whoever lets go of it ends TLS too: a client that only sees the end of TCP has
/// to take it for an attack, and says so.
pub struct Encrypted(server::TlsStream<TcpStream>);

impl Encrypted {
    fn stream(self: &mut Box<Self>) -> &mut server::TlsStream<TcpStream> {
        &mut self.0
    }
}

impl From<server::TlsStream<TcpStream>> for ClientStream {
    fn from(stream: server::TlsStream<TcpStream>) -> Self {
        Self::Tls(Box::new(Encrypted(stream)))
    }
}

impl Drop for Encrypted {
    fn drop(&mut self) {
        let (socket, session) = self.0.get_mut();
        session.send_close_notify();
        let mut socket = WithoutWaiting(socket);
        while session.wants_write() && session.write_tls(&mut socket).is_ok_and(|written| written > 0) {}
    }
}

/// Takes what the socket takes at once.
struct WithoutWaiting<'a>(&'a TcpStream);

impl io::Write for WithoutWaiting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection to a server.
pub enum ServerStream {
    /// In clear.
    Plain(TcpStream),
    /// Encrypted.
    Tls(Box<client::TlsStream<TcpStream>>),
}

impl ClientStream {
    /// The socket below.
    #[must_use]
    pub fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.0.get_ref().0,
            Self::WebSocket(stream) => stream.socket(),
        }
    }

    /// Can nobody on the way read along?
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(_) => true,
            Self::WebSocket(stream) => stream.is_encrypted(),
        }
    }

    /// Has its events arrive on this thread from now on, as [`ServerStream::come_here`] does.
    ///
    /// # Errors
    /// The process has no descriptor left, or the thread takes no more of them. It works as before.
    pub fn come_here(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => renew(stream, TcpStream::from_std),
            Self::Tls(stream) => renew(stream.0.get_mut().0, TcpStream::from_std),
            Self::WebSocket(stream) => stream.come_here(),
        }
    }

    /// Ready when a read would not wait: bytes, the end or an error is there. Needs no buffer of ours.
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Plain(stream) => stream.poll_read_ready(cx).map(|_ready| ()),
            Self::Tls(stream) => Pin::new(stream.stream()).poll_fill_buf(cx).map(|_filled| ()),
            Self::WebSocket(stream) => stream.poll_readable(cx),
        }
    }

    /// Ready when the client has closed its end. What it has sent stays to be read, and hides a later end.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_gone = match self {
            Self::Plain(stream) => {
                let mut byte = [0_u8; 1];
                let peeked = ready!(stream.poll_peek(cx, &mut ReadBuf::new(&mut byte)));
                peeked.map_or(true, |length| length == 0)
            }
            Self::Tls(stream) => {
                let filled = ready!(Pin::new(stream.stream()).poll_fill_buf(cx));
                filled.map_or(true, <[u8]>::is_empty)
            }
            Self::WebSocket(stream) => return stream.poll_gone(cx),
        };
        if is_gone { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl ServerStream {
    /// The socket below.
    #[must_use]
    pub fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    /// Has its events arrive on this thread from now on. Its socket gets another descriptor; an encrypted one's
    /// session stays as it is.
    ///
    /// # Errors
    /// The process has no descriptor left, or the thread takes no more of them. It works as before.
    pub fn come_here(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => renew(stream, TcpStream::from_std),
            Self::Tls(stream) => renew(stream.get_mut().0, TcpStream::from_std),
        }
    }

    /// What a login can be bound to: the server's certificate.
    #[must_use]
    pub fn channel_binding(&self) -> ChannelBinding {
        let Self::Tls(stream) = self else { return ChannelBinding::Unavailable };
        let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
        certificates.first().map_or(ChannelBinding::Unavailable, |own| x509::server_end_point(own))
    }

    /// Nothing waits in the socket, whether or not its readiness is known here.
    #[must_use]
    pub fn has_nothing_in_the_kernel(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        // Sockets of the runtime never block.
        let peeked = SockRef::from(self.socket()).peek(&mut byte);
        matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Nothing has arrived that was not read, as far as is known here: no byte, no end, no error.
    pub fn is_quiet(&mut self) -> bool {
        // Polled with a waker that wakes nobody: only what has already arrived counts.
        let mut context = Context::from_waker(Waker::noop());
        match self {
            Self::Plain(stream) => stream.poll_read_ready(&mut context).is_pending() || !has_arrived(stream),
            // What it reads of its own, such as new keys, is no sign of life of the session.
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_fill_buf(&mut context).is_pending(),
        }
    }
}

/// Puts a new descriptor of the same socket in the old one's place, once it is registered.
fn renew(
    socket: &mut TcpStream,
    register: impl FnOnce(std::net::TcpStream) -> io::Result<TcpStream>,
) -> io::Result<()> {
    *socket = register(socket.as_fd().try_clone_to_owned()?.into())?;
    Ok(())
}

fn has_arrived(stream: &TcpStream) -> bool {
    let mut byte = [0_u8; 1];
    !matches!(stream.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// Both kinds of streams read and write by what they are.
macro_rules! delegate {
    ($stream:ty, $encrypted:path $(, $framed:ident)?) => {
        impl AsyncRead for $stream {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                into: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    Self::Plain(stream) => Pin::new(stream).poll_read(cx, into),
                    Self::Tls(stream) => Pin::new($encrypted(stream)).poll_read(cx, into),
                    $(Self::$framed(stream) => Pin::new(stream.as_mut()).poll_read(cx, into),)?
                }
            }
        }

        impl AsyncWrite for $stream {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() {
                    Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
                    Self::Tls(stream) => Pin::new($encrypted(stream)).poll_write(cx, bytes),
                    $(Self::$framed(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),)?
                }
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                slices: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() {
                    Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
                    Self::Tls(stream) => Pin::new($encrypted(stream)).poll_write_vectored(cx, slices),
                    $(Self::$framed(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, slices),)?
                }
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
                    Self::Tls(stream) => Pin::new($encrypted(stream)).poll_flush(cx),
                    $(Self::$framed(stream) => Pin::new(stream.as_mut()).poll_flush(cx),)?
                }
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
                    Self::Tls(stream) => Pin::new($encrypted(stream)).poll_shutdown(cx),
                    $(Self::$framed(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),)?
                }
            }
        }
    };
}

delegate!(ClientStream, Encrypted::stream, WebSocket);
delegate!(ServerStream, Box::as_mut);

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_socket_that_cannot_be_moved_stays_as_it_is() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut socket = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
        let (mut peer, _) = listener.accept().await.expect("it was dialled");
        let full = |_descriptor| Err(io::ErrorKind::OutOfMemory.into());
        assert!(renew(&mut socket, full).is_err());
        for moved in [false, true] {
            let mut stream = ServerStream::Plain(socket);
            if moved {
                stream.come_here().expect("there is room");
            }
            stream.write_all(b"ping").await.expect("it is open");
            let mut received = [0; 4];
            peer.read_exact(&mut received).await.expect("it was sent");
            assert_eq!(&received, b"ping");
            let ServerStream::Plain(plain) = stream else { unreachable!("it was plain") };
            socket = plain;
        }
    }
}
