//! A client's socket before the relay: bounded reading, whole messages.

use super::origin::{self, Origin};
use crate::error::{Refusal, sqlstate};
use crate::stream::ClientStream;
use crate::tls::acceptor::Inside;
use crate::tls::{Acceptor, TlsFacts};
use config::{GatewayListen, ProxiedListener};
use net::ClientAddress;
use pgwire::frame::{HEADER_LEN, peek_header};
use pgwire::startup::{FirstPacket, is_direct_tls, parse_first_packet};
use pgwire::{ErrorResponse, Severity, backend};
use std::io;
use std::net::SocketAddr;
use tenancy::ErrorKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

/// Room for any message of an ordinary login, so that each is read at once. More is made as it is needed.
const INBOUND_BYTES: usize = 512;

/// A socket with what was read from it and not yet used.
pub struct ClientWire {
    stream: ClientStream,
    inbound: Vec<u8>,
    /// What goes out with whatever is sent next.
    outbound: Vec<u8>,
    /// No message before the end of authentication may be larger.
    bytes_max: usize,
    /// When a client that has not logged in is sent away, if it ever is.
    login_deadline: Option<Instant>,
    /// What TLS says of the client; nothing in clear.
    tls: TlsFacts,
    /// A trusted proxy says that the client has reached it by HTTPS.
    is_behind_https: bool,
}

/// Why a message could not be read.
#[derive(Debug)]
pub enum WireError {
    /// The client has left.
    Gone,
    /// The client broke the protocol.
    Refused(Refusal),
}

impl From<io::Error> for WireError {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl ClientWire {
    /// A fresh socket.
    #[must_use]
    pub fn new(stream: ClientStream, bytes_max: usize) -> Self {
        Self {
            stream,
            inbound: Vec::new(),
            outbound: Vec::new(),
            bytes_max,
            login_deadline: None,
            tls: TlsFacts::default(),
            is_behind_https: false,
        }
    }

    /// Notes whether a trusted proxy says that the client has reached it by HTTPS.
    #[must_use]
    pub fn behind_https(self, is_behind_https: bool) -> Self {
        Self { is_behind_https, ..self }
    }

    /// The client is told, and sent away, when it still owes something then.
    #[must_use]
    pub fn with_login_deadline(self, deadline: Instant) -> Self {
        Self { login_deadline: Some(deadline), ..self }
    }

    /// The next packet of the startup phase.
    ///
    /// # Errors
    /// The client has left, or what it sent is none.
    pub async fn first_packet(&mut self) -> Result<FirstPacket, WireError> {
        loop {
            let parsed = parse_first_packet(&self.inbound, self.bytes_max)
                .map_err(|error| WireError::Refused(Refusal::protocol(error.to_string())))?;
            if let Some((packet, length)) = parsed {
                self.inbound.drain(..length);
                return Ok(packet);
            }
            self.fill().await?;
        }
    }

    /// What has been read and not used.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        &self.inbound
    }

    /// Where the connection comes from, for the first thing that is read of it.
    ///
    /// # Errors
    /// A trusted proxy breaks off, or breaks the PROXY protocol.
    pub(super) async fn origin(&mut self, peer: SocketAddr, listen: &GatewayListen) -> io::Result<Origin> {
        match &mut self.stream {
            ClientStream::Plain(stream) => origin::of(stream, peer, listen, ProxiedListener::Pg).await,
            ClientStream::Tls(_) | ClientStream::WebSocket(_) => {
                Err(io::Error::other("the connection has begun already"))
            }
        }
    }

    /// Does the client begin with TLS, without asking for it? Looks at its first byte, which stays to be read.
    pub async fn begins_with_tls(&mut self) -> bool {
        let ClientStream::Plain(stream) = &self.stream else { return false };
        let mut first = [0];
        matches!(stream.peek(&mut first).await, Ok(1..)) && is_direct_tls(first[0])
    }

    /// Encrypts the connection. Nothing that was read in clear may be left: it is thrown away.
    ///
    /// # Errors
    /// The client breaks off, or the two cannot agree; the connection is lost.
    pub async fn encrypt(self, acceptor: &Acceptor, inside: Inside) -> io::Result<Self> {
        let Self { stream, bytes_max, login_deadline, .. } = self;
        let ClientStream::Plain(stream) = stream else {
            return Err(io::Error::other("the connection is encrypted already"));
        };
        let (stream, tls) = acceptor.accept(stream, inside).await?;
        let (inbound, outbound) = (Vec::new(), Vec::new());
        Ok(Self { stream, inbound, outbound, bytes_max, login_deadline, tls, is_behind_https: false })
    }

    /// What TLS says of the client.
    #[must_use]
    pub fn tls(&self) -> &TlsFacts {
        &self.tls
    }

    /// The body of the next message, which must have this tag.
    ///
    /// # Errors
    /// The client has left, or sent something else or too much.
    pub async fn expect(&mut self, tag: u8) -> Result<Vec<u8>, WireError> {
        loop {
            let header = peek_header(&self.inbound)
                .map_err(|error| WireError::Refused(Refusal::protocol(error.to_string())))?;
            if let Some(header) = header {
                if header.tag != tag {
                    return Err(WireError::Refused(Refusal::protocol(
                        "unexpected message during authentication",
                    )));
                }
                if header.len > self.bytes_max {
                    let message = "the message is too large to come before authentication";
                    return Err(WireError::Refused(Refusal::new(ErrorKind::TooLarge, message)));
                }
                if self.inbound.len() >= header.len {
                    let body = self.inbound[HEADER_LEN..header.len].to_vec();
                    self.inbound.drain(..header.len);
                    return Ok(body);
                }
            }
            self.fill().await?;
        }
    }

    /// Has the client sent a message with this tag along, in what belongs together with what was read? Only frames say
    /// what belongs together.
    ///
    /// # Errors
    /// The client has left, or takes too long.
    pub async fn has_sent_along(&mut self, tag: u8) -> Result<bool, WireError> {
        while self.inbound.is_empty() && self.is_inside_frame() {
            self.fill().await?;
        }
        Ok(self.inbound.first() == Some(&tag))
    }

    fn is_inside_frame(&self) -> bool {
        matches!(&self.stream, ClientStream::WebSocket(stream) if stream.is_inside_frame())
    }

    /// May a client from there show what nobody else is to see?
    #[must_use]
    pub fn is_private(&self, peer: ClientAddress) -> bool {
        self.is_encrypted() || self.is_behind_https || peer.is_local()
    }

    /// Our end of the connection.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.stream.socket().local_addr().ok()
    }

    /// Does the client speak inside a WebSocket?
    #[must_use]
    pub fn is_websocket(&self) -> bool {
        matches!(self.stream, ClientStream::WebSocket(_))
    }

    /// Is the connection encrypted?
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.stream.is_encrypted()
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// The client has left.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        self.hold_back(bytes);
        self.stream.write_all(&self.outbound).await?;
        self.outbound.clear();
        Ok(self.stream.flush().await?)
    }

    /// Sends bytes together with what is sent next: the client has nothing to answer before that.
    pub fn hold_back(&mut self, bytes: &[u8]) {
        self.outbound.extend_from_slice(bytes);
    }

    /// Tells the client why it is sent away, and closes.
    pub async fn refuse(mut self, refusal: &Refusal) {
        let mut message = std::mem::take(&mut self.outbound);
        write_refusal(&mut message, refusal, Severity::Fatal);
        if self.stream.write_all(&message).await.is_ok() {
            let _ = self.stream.shutdown().await;
        }
    }

    /// The socket, what was already read from it, and what is to be sent first.
    #[must_use]
    pub fn into_parts(self) -> (ClientStream, Vec<u8>, Vec<u8>) {
        (self.stream, self.inbound, self.outbound)
    }

    async fn fill(&mut self) -> Result<(), WireError> {
        if self.inbound.capacity() == 0 {
            self.inbound.reserve(INBOUND_BYTES);
        }
        let reading = self.stream.read_buf(&mut self.inbound);
        let read = match self.login_deadline {
            Some(deadline) => {
                timeout_at(deadline, reading).await.map_err(|_elapsed| WireError::Refused(login_timeout()))?
            }
            None => reading.await,
        };
        if read? == 0 { Err(WireError::Gone) } else { Ok(()) }
    }
}

/// PostgreSQL's own words and SQLSTATE for its `authentication_timeout`.
fn login_timeout() -> Refusal {
    Refusal::new(ErrorKind::LoginTimeout, "canceling authentication due to timeout")
        .hint("the gateway's startup_timeout_ms")
}

/// A refusal as an ErrorResponse.
pub fn write_refusal(out: &mut Vec<u8>, refusal: &Refusal, severity: Severity) {
    let response = ErrorResponse::new(severity, sqlstate(refusal.kind()), refusal.message());
    backend::write::error_response(out, &response.with_hint(refusal.hint_text()));
}
