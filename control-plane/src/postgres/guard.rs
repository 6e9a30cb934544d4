//! Keeps the driver from answering a server that asks for the password itself.
//!
//! The driver gives a password in clear, or hashed with MD5, to whoever asks for it. Somebody who has taken a server's
//! place would have the admin's password then. So what a server says is looked at until it has let us in: only
//! SCRAM, in which it proves that it knows the password's verifier and learns nothing, passes.

use super::transport::{Stream, Transport};
use pgwire::scram::ChannelBinding;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls;

/// Tag, length and kind of an authentication message
/// (<https://www.postgresql.org/docs/current/protocol-message-formats.html>).
const HEADER_LEN: usize = 9;
const TAG_LEN: usize = 1;
const OK: [u8; 4] = 0_i32.to_be_bytes();
const CLEARTEXT_PASSWORD: [u8; 4] = 3_i32.to_be_bytes();
const MD5_PASSWORD: [u8; 4] = 5_i32.to_be_bytes();

/// The server asks for the password itself.
#[derive(Debug, thiserror::Error)]
#[error("it asks for the password itself, not for a proof")]
pub(super) struct PasswordAsked;

/// A connection that breaks off where the password would be given away.
pub(super) struct Guarded {
    stream: Box<dyn Stream>,
    binding: ChannelBinding,
    /// None once we are logged in.
    watch: Option<Watch>,
}

impl Guarded {
    pub(super) fn new(transport: Transport) -> Self {
        let Transport { stream, binding } = transport;
        Self { stream, binding, watch: Some(Watch::default()) }
    }
}

/// Follows the messages of a login.
#[derive(Default)]
struct Watch {
    header: [u8; HEADER_LEN],
    have: usize,
    /// Bytes left of a message whose header was seen.
    rest: usize,
}

/// What is known of a login so far.
#[derive(Debug, PartialEq, Eq)]
enum Login {
    Goes,
    Done,
    WantsPassword,
}

impl Watch {
    fn follow(&mut self, mut bytes: &[u8]) -> Login {
        while let Some((&byte, after)) = bytes.split_first() {
            if self.rest > 0 {
                let passed = self.rest.min(bytes.len());
                self.rest -= passed;
                bytes = bytes.get(passed..).unwrap_or_default();
                continue;
            }
            if let Some(place) = self.header.get_mut(self.have) {
                *place = byte;
            }
            (self.have, bytes) = (self.have + 1, after);
            match self.header_seen() {
                Login::Goes => {}
                seen => return seen,
            }
        }
        Login::Goes
    }

    /// Whether the header is all there, and what it says then.
    fn header_seen(&mut self) -> Login {
        let [tag, a, b, c, d, kind @ ..] = self.header;
        let length = usize::try_from(i32::from_be_bytes([a, b, c, d])).unwrap_or_default();
        let needed = if tag == b'R' { HEADER_LEN } else { HEADER_LEN - kind.len() };
        if self.have < needed {
            return Login::Goes;
        }
        self.rest = (length + TAG_LEN).saturating_sub(needed);
        self.have = 0;
        match (tag, kind) {
            (b'R', OK) => Login::Done,
            (b'R', CLEARTEXT_PASSWORD | MD5_PASSWORD) => Login::WantsPassword,
            _ => Login::Goes,
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let guarded = self.get_mut();
        let before = into.filled().len();
        ready!(Pin::new(&mut guarded.stream).poll_read(cx, into))?;
        let come = into.filled().get(before..).unwrap_or_default();
        match guarded.watch.as_mut().map(|watch| watch.follow(come)) {
            None | Some(Login::Goes) => {}
            Some(Login::Done) => guarded.watch = None,
            Some(Login::WantsPassword) => return Poll::Ready(Err(io::Error::other(PasswordAsked))),
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// What is left of TLS for the driver: the connection is secured already, or not to be.
pub(super) struct Secured;

impl tls::TlsConnect<Guarded> for Secured {
    type Stream = Guarded;
    type Error = io::Error;
    type Future = Ready<io::Result<Guarded>>;

    fn connect(self, stream: Guarded) -> Self::Future {
        ready(Ok(stream))
    }
}

impl tls::TlsStream for Guarded {
    fn channel_binding(&self) -> tls::ChannelBinding {
        match &self.binding {
            ChannelBinding::TlsServerEndPoint(hash) => {
                tls::ChannelBinding::tls_server_end_point(hash.clone())
            }
            ChannelBinding::Unavailable => tls::ChannelBinding::none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let length = i32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[tag], length.as_slice(), body].concat()
    }

    fn asks(kind: i32, rest: &[u8]) -> Vec<u8> {
        message(b'R', &[kind.to_be_bytes().as_slice(), rest].concat())
    }

    /// What is known after all of it, cut into pieces of this size.
    fn follow(bytes: &[u8], piece: usize) -> Login {
        let mut watch = Watch::default();
        bytes
            .chunks(piece)
            .map(|piece| watch.follow(piece))
            .find(|seen| *seen != Login::Goes)
            .unwrap_or(Login::Goes)
    }

    #[test]
    fn a_password_is_asked_for_however_the_message_is_cut_and_whatever_comes_before_it() {
        let notice = message(b'N', b"R\0\0\0\x08\0\0\0\0 in its text");
        for (kind, rest) in [(3, &b""[..]), (5, b"salt")] {
            let asked = [notice.clone(), asks(10, b"SCRAM-SHA-256\0\0"), asks(kind, rest)].concat();
            for piece in 1..=asked.len() {
                assert_eq!(follow(&asked, piece), Login::WantsPassword, "kind {kind}, pieces of {piece}");
            }
        }
    }

    #[test]
    fn scram_passes_and_nothing_is_looked_at_afterwards() {
        let login = [asks(10, b"SCRAM-SHA-256\0\0"), asks(11, b"r=x"), asks(12, b"v=y")].concat();
        let done = [login.clone(), asks(0, b"")].concat();
        for piece in 1..=done.len() {
            assert_eq!(follow(&login, piece), Login::Goes);
            assert_eq!(follow(&done, piece), Login::Done);
        }
    }
}
