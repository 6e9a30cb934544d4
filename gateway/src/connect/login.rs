//! The login of the gateway to a tenant's server.

use super::identity::{self, Identity};
use super::refused::refused;
use super::session_defaults::{Current, SessionDefaults};
use super::{Blame, CancelTarget, ConnectError, ServerConnection, close, encrypt};
use crate::pool::ConnectPermit;
use crate::pool::breaker::Logins;
use crate::socket;
use crate::stream::ServerStream;
use crate::tls::{ServerTls, ServerTlsSettings};
use catalog_schema::{PlacementRecord, RoleLogin};
use pgwire::CancelKey;
use pgwire::WriteError;
use pgwire::backend::{self, Authentication};
use pgwire::frontend::write;
use pgwire::scram::{ClientExchange, ClientKeys, ScramError};
use std::sync::Arc;
use std::time::Duration;
use tenancy::{DatabaseName, RoleName, TenantId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A login's messages are small; a server that sends more than this is none.
const LOGIN_MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Opens connections for one pool.
pub struct Connector {
    /// As the tenant's own route says: another tenant's may be newer or older.
    host: String,
    port: u16,
    /// None: in clear. An error: the settings are of no use, and nobody is connected to.
    tls: Result<Option<Arc<ServerTls>>, String>,
    database: DatabaseName,
    role: RoleName,
    /// What logs in as the role: a login hashes no password.
    keys: ClientKeys,
    identity: Identity,
    timeout: Duration,
    logins: Arc<Logins>,
    defaults: Current,
}

impl Connector {
    /// A connector to the tenant's database, as one of its login roles.
    #[must_use]
    pub fn new(
        tenant: TenantId,
        placement: &PlacementRecord,
        login: &RoleLogin,
        tls: &ServerTlsSettings,
        timeout: Duration,
        logins: Arc<Logins>,
    ) -> Self {
        let cluster = &placement.cluster;
        Self {
            tls: tls.of(&cluster.tls, &cluster.host).map_err(|error| error.to_string()),
            host: cluster.host.clone(),
            port: cluster.port,
            database: placement.database.clone(),
            role: login.role.clone(),
            keys: login.keys.clone(),
            identity: Identity::expected(tenant, placement),
            timeout,
            logins,
            defaults: Current::default(),
        }
    }

    /// What the connections that are opened now begin with.
    #[must_use]
    pub fn session_defaults(&self) -> SessionDefaults {
        self.defaults.get()
    }

    /// What the connections that are opened from now on begin with. Says whether that is something else than before.
    pub fn set_session_defaults(&self, defaults: SessionDefaults) -> bool {
        self.defaults.set(defaults)
    }

    /// Says when there is use in connecting, and wants to hear what came of it.
    #[must_use]
    pub fn logins(&self) -> &Arc<Logins> {
        &self.logins
    }

    /// Connects, logs in and checks the server's identity. The permit goes into the connection.
    ///
    /// # Errors
    /// See [`ConnectError`]. The permit returns when the server has let go of what was opened.
    pub async fn connect(&self, permit: ConnectPermit) -> Result<ServerConnection, ConnectError> {
        tokio::time::timeout(self.timeout, self.login(permit)).await.unwrap_or(Err(ConnectError::Timeout))
    }

    async fn login(&self, permit: ConnectPermit) -> Result<ServerConnection, ConnectError> {
        let tls = self.tls.as_ref().map_err(|error| ConnectError::TlsSettings(error.clone()))?;
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        let mut wire = Wire::new(ServerStream::Plain(stream), permit);
        socket::prepare(wire.stream().socket())?;
        let address = wire.stream().socket().peer_addr()?;
        if let Some(tls) = tls {
            wire.encrypt(tls).await?;
        }
        let defaults = self.session_defaults();
        let login = [("user", self.role.as_str()), ("database", self.database.as_str())];
        // Of the startup packet, so that RESET and DISCARD come back to it, whatever the role has been given.
        let read_only = defaults.is_read_only().then_some(("default_transaction_read_only", "on"));
        write::startup(&mut wire.outbound, login.into_iter().chain(read_only))?;
        wire.flush().await?;
        self.authenticate(&mut wire).await?;
        let session = read_session(&mut wire).await?;
        self.check_identity(&mut wire).await?;
        let (stream, permit) = wire.into_parts();
        let target = CancelTarget::new(address, session.cancel_key, tls.clone());
        let mut connection = ServerConnection::new(stream, permit, target, session.parameters);
        connection.began_with = defaults;
        Ok(connection)
    }

    async fn authenticate(&self, wire: &mut Wire) -> Result<(), ConnectError> {
        let binding = wire.stream().channel_binding();
        let exchange = match wire.authentication().await? {
            Authentication::Sasl(offered) => {
                ClientExchange::new(self.keys.clone(), &offered, binding).map_err(malformed)?
            }
            // A server that asks for no proof, or for the secret itself, proves nothing of its own.
            other => {
                return Err(unexpected(&other));
            }
        };
        let first = exchange.client_first();
        write::sasl_initial(&mut wire.outbound, exchange.mechanism(), first.as_bytes())?;
        wire.flush().await?;
        let server_first = match wire.authentication().await? {
            Authentication::SaslContinue(data) => data.to_vec(),
            other => return Err(unexpected(&other)),
        };
        let (answer, response) = exchange.answer(&server_first).map_err(|error| match error {
            ScramError::KeysOutdated => ConnectError::KeysOutdated,
            error => malformed(error),
        })?;
        write::sasl_response(&mut wire.outbound, response.as_bytes())?;
        wire.flush().await?;
        match wire.authentication().await? {
            Authentication::SaslFinal(data) => answer.verify(data).map_err(malformed)?,
            other => return Err(unexpected(&other)),
        };
        match wire.authentication().await? {
            Authentication::Ok => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    async fn check_identity(&self, wire: &mut Wire) -> Result<(), ConnectError> {
        write::query(&mut wire.outbound, identity::QUERY.as_bytes())?;
        wire.flush().await?;
        let mut row = Vec::new();
        loop {
            let (tag, body) = wire.message().await?;
            match tag {
                b'D' => row = text_row(body)?,
                b'E' => {
                    return Err(match refused(body) {
                        // It is being shut down, or has no memory left: that says nothing of who it is.
                        error if matches!(error.blame(), Blame::Cluster(_)) => error,
                        error => ConnectError::Mismatch(format!("it could not say who it is: {error}")),
                    });
                }
                b'Z' => return self.identity.check(&row),
                _ => {}
            }
        }
    }
}

struct Session {
    cancel_key: CancelKey,
    parameters: Vec<(Box<str>, Box<str>)>,
}

/// Reads what the server says between the authentication and its first ReadyForQuery.
async fn read_session(wire: &mut Wire) -> Result<Session, ConnectError> {
    let mut parameters = Vec::with_capacity(16);
    let mut cancel_key = None;
    loop {
        let (tag, body) = wire.message().await?;
        match tag {
            b'S' => {
                let (name, value) = backend::parameter_status(body).map_err(malformed)?;
                parameters.push((text(name), text(value)));
            }
            b'K' => cancel_key = Some(backend::backend_key_data(body).map_err(malformed)?),
            b'Z' => {
                let cancel_key =
                    cancel_key.ok_or_else(|| ConnectError::Protocol("it sent no cancel key".into()))?;
                return Ok(Session { cancel_key, parameters });
            }
            b'E' => return Err(refused(body)),
            _ => {}
        }
    }
}

/// A socket with just enough buffering for a login. If the login breaks off, it is closed in the
/// background and takes its permit along: the server counts the attempt until it has let go.
struct Wire {
    socket: Option<(ServerStream, ConnectPermit)>,
    inbound: Vec<u8>,
    outbound: Vec<u8>,
    /// Where the next message begins in `inbound`.
    at: usize,
}

impl Wire {
    fn new(stream: ServerStream, permit: ConnectPermit) -> Self {
        let socket = Some((stream, permit));
        Self { socket, inbound: Vec::with_capacity(1024), outbound: Vec::with_capacity(512), at: 0 }
    }

    fn stream(&mut self) -> &mut ServerStream {
        &mut self.socket.as_mut().expect("taken only when the login ends").0
    }

    fn into_parts(mut self) -> (ServerStream, ConnectPermit) {
        self.socket.take().expect("taken only when the login ends")
    }

    /// Begins to encrypt. During the handshake itself the permit is not tied to the server's end of the
    /// connection: a server that waits for our next message notices at once when we are gone.
    async fn encrypt(&mut self, tls: &ServerTls) -> Result<(), ConnectError> {
        encrypt::ask(self.stream()).await?;
        let socket = self.socket.take().expect("taken only when the login ends");
        let (ServerStream::Plain(stream), permit) = socket else {
            return Err(ConnectError::NotEncrypted("it is encrypted already".to_owned()));
        };
        let stream = tls.secure(stream).await.map_err(ConnectError::Tls)?;
        self.socket = Some((stream, permit));
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), ConnectError> {
        let outbound = std::mem::take(&mut self.outbound);
        self.stream().write_all(&outbound).await?;
        self.stream().flush().await?;
        Ok(())
    }

    async fn message(&mut self) -> Result<(u8, &[u8]), ConnectError> {
        self.inbound.drain(..self.at);
        self.at = 0;
        loop {
            let header = pgwire::frame::peek_header(&self.inbound).map_err(malformed)?;
            if let Some(header) = header {
                if header.len > LOGIN_MESSAGE_BYTES_MAX {
                    return Err(ConnectError::Protocol("an oversized message".into()));
                }
                if self.inbound.len() >= header.len {
                    self.at = header.len;
                    return Ok((header.tag, &self.inbound[pgwire::frame::HEADER_LEN..header.len]));
                }
            }
            let (stream, _) = self.socket.as_mut().expect("taken only when the login ends");
            if stream.read_buf(&mut self.inbound).await? == 0 {
                return Err(ConnectError::Lost);
            }
        }
    }

    async fn authentication(&mut self) -> Result<Authentication<'_>, ConnectError> {
        let (tag, body) = self.message().await?;
        match tag {
            b'R' => Authentication::parse(body).map_err(malformed),
            b'E' => Err(refused(body)),
            other => Err(ConnectError::Protocol(format!("message {:?} during the login", char::from(other)))),
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some((stream, permit)) = self.socket.take() {
            close::login_in_background(stream, permit);
        }
    }
}

/// The only login that we go on with is SCRAM-SHA-256, in its order.
fn unexpected(asked: &Authentication<'_>) -> ConnectError {
    let what = match asked {
        Authentication::Ok => "let us in without SCRAM-SHA-256, so it has not proved who it is",
        Authentication::CleartextPassword => "asks for the password in clear",
        Authentication::Md5Password => "asks for an MD5 password",
        Authentication::Sasl(_) => "does not offer SCRAM-SHA-256, or asks for it twice",
        Authentication::SaslContinue(_) | Authentication::SaslFinal(_) => "does SASL out of order",
        Authentication::Other(_) => "asks for a kind of authentication that we do not speak",
    };
    ConnectError::Protocol(format!("it {what}"))
}

impl From<WriteError> for ConnectError {
    fn from(error: WriteError) -> Self {
        malformed(error)
    }
}

fn malformed(error: impl std::fmt::Display) -> ConnectError {
    ConnectError::Protocol(error.to_string())
}

fn text(bytes: &[u8]) -> Box<str> {
    String::from_utf8_lossy(bytes).into_owned().into_boxed_str()
}

fn text_row(body: &[u8]) -> Result<Vec<Option<String>>, ConnectError> {
    backend::data_row(body)
        .map_err(malformed)?
        .map(|value| {
            let value = value.map_err(malformed)?;
            Ok(value.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
        })
        .collect()
}
