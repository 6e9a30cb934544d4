//! The way to a cluster's server: the socket, and TLS on it as the cluster demands. In clear only where the cluster's
//! record says so: a server that refuses TLS is not spoken to without it.

use super::error::PostgresError;
use catalog_schema::ClusterTls;
use net::tls::{ServerTls, ServerTlsSettings, roots, x509};
use pgwire::frontend::write;
use pgwire::scram::ChannelBinding;
use pgwire::startup::EncryptionAnswer;
use socket2::SockRef;
use std::io;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a peer may leave what we have sent unanswered before it is taken for gone.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(10);

/// More than an answer to a request for TLS has, so that what is sent along with one is noticed.
const ANSWER_BYTES_MAX: usize = 16;

/// Settings in use, and the authorities that the system trusts. Those are read when they are needed first.
static SETTINGS: LazyLock<ServerTlsSettings> =
    LazyLock::new(|| ServerTlsSettings::new(roots::of_the_system()));

/// Bytes to and from a server, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Where a server is, and how connections to it are secured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) tls: &'a ClusterTls,
}

/// A connection on which nothing of PostgreSQL was said yet.
pub(super) struct Transport {
    pub(super) stream: Box<dyn Stream>,
    /// What a login can be bound to.
    pub(super) binding: ChannelBinding,
}

impl Address<'_> {
    /// Connects, and secures the connection.
    pub(super) async fn connect(&self) -> Result<Transport, PostgresError> {
        let tls = self.tls()?;
        let lost = |error: io::Error| self.unreachable(&error);
        let mut socket = TcpStream::connect((self.host, self.port)).await.map_err(lost)?;
        socket.set_nodelay(true).map_err(lost)?;
        SockRef::from(&socket).set_tcp_user_timeout(Some(TCP_USER_TIMEOUT)).map_err(lost)?;
        let Some(tls) = tls else {
            return Ok(Transport { stream: Box::new(socket), binding: ChannelBinding::Unavailable });
        };
        self.ask_for_tls(&mut socket).await?;
        let stream = tls.handshake(socket).await.map_err(|error| match error.kind() {
            // What rustls has to say on the certificate or the handshake.
            io::ErrorKind::InvalidData => {
                PostgresError::NotTrusted { address: self.to_string(), reason: error.to_string() }
            }
            _ => lost(error),
        })?;
        let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let binding =
            certificates.first().map_or(ChannelBinding::Unavailable, |own| x509::server_end_point(own));
        Ok(Transport { stream: Box::new(stream), binding })
    }

    fn tls(&self) -> Result<Option<ServerTls>, PostgresError> {
        let name = self.tls.server_name.as_deref().unwrap_or(self.host);
        SETTINGS
            .of(self.tls.mode, self.tls.ca.as_deref(), name)
            .map_err(|why| PostgresError::NotTrusted { address: self.to_string(), reason: why.to_string() })
    }

    /// What a server says before TLS could be anybody's word: only its one byte of an answer is looked at.
    async fn ask_for_tls(&self, socket: &mut TcpStream) -> Result<(), PostgresError> {
        let lost = |error: io::Error| self.unreachable(&error);
        let mut request = Vec::with_capacity(8);
        write::ssl_request(&mut request);
        socket.write_all(&request).await.map_err(lost)?;
        let mut answer = [0; ANSWER_BYTES_MAX];
        let length = socket.read(&mut answer).await.map_err(lost)?;
        match EncryptionAnswer::parse(answer.get(..length).unwrap_or_default()) {
            Ok(Some(EncryptionAnswer::Granted)) => Ok(()),
            Ok(Some(EncryptionAnswer::Refused)) => Err(PostgresError::NoTls { address: self.to_string() }),
            Ok(None) => Err(lost(io::ErrorKind::UnexpectedEof.into())),
            Err(why) => Err(PostgresError::NotTrusted { address: self.to_string(), reason: why.to_string() }),
        }
    }

    fn unreachable(&self, error: &io::Error) -> PostgresError {
        PostgresError::Unreachable { address: self.to_string(), reason: error.kind().to_string() }
    }
}

impl std::fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}
