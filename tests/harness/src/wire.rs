//! A client that speaks the protocol message by message, for what no driver would do.

use crate::wait::DEADLINE;
use pgwire::backend::{Authentication, ErrorFields};
use pgwire::frame::{HEADER_LEN, peek_header};
use pgwire::frontend::write;
use pgwire::scram::{ChannelBinding, ClientExchange};
use std::io;
use tenancy::Secret;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// From <https://www.postgresql.org/docs/current/protocol-message-formats.html>.
const CANCEL_REQUEST_CODE: u32 = 80_877_102;

/// One message of the server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub tag: u8,
    /// What is in it.
    pub body: Vec<u8>,
}

impl Message {
    /// The SQLSTATE of an error.
    ///
    /// # Panics
    /// When it is no error.
    #[must_use]
    pub fn sqlstate(&self) -> String {
        assert_eq!(self.tag, b'E', "no error: {self:?}");
        ErrorFields::new(&self.body).text(b'C').expect("errors have a SQLSTATE").into_owned()
    }

    /// The message of an error.
    ///
    /// # Panics
    /// When it is no error.
    #[must_use]
    pub fn text(&self) -> String {
        assert_eq!(self.tag, b'E', "no error: {self:?}");
        ErrorFields::new(&self.body).message().into_owned()
    }

    /// The first column of a row, as text.
    ///
    /// # Panics
    /// When it is no row with a value in it.
    #[must_use]
    pub fn first_column(&self) -> String {
        let mut row = pgwire::backend::data_row(&self.body).expect("a row");
        let value = row.next().expect("a column").expect("a whole column").expect("a value");
        String::from_utf8(value.to_vec()).expect("text")
    }
}

/// A connection to the gateway: a socket, or what encrypts one.
pub struct WireClient<S = TcpStream> {
    stream: S,
    inbound: Vec<u8>,
    cancel_key: Vec<u8>,
}

impl WireClient {
    /// Connects the socket and sends nothing.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn dial(config: &Config) -> io::Result<Self> {
        let Some(Host::Tcp(host)) = config.get_hosts().first() else {
            return Err(io::Error::other("the connection string names no host"));
        };
        let stream = TcpStream::connect((host.as_str(), config.get_ports()[0])).await?;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream))
    }

    /// Connects and logs in as the configuration says, up to the first ReadyForQuery.
    ///
    /// # Errors
    /// The error that the server answers with instead, or when the connection ends.
    pub async fn login(config: &Config) -> Result<Self, Message> {
        let user = config.get_user().expect("a user");
        let database = config.get_dbname().expect("a database");
        Self::login_as(config, &[("user", user), ("database", database)]).await
    }

    /// Connects and logs in with this startup packet and the configuration's password.
    ///
    /// # Errors
    /// The error that the server answers with instead, or when the connection ends.
    pub async fn login_as(config: &Config, parameters: &[(&str, &str)]) -> Result<Self, Message> {
        let gone = |_| Message { tag: 0, body: Vec::new() };
        let mut client = Self::dial(config).await.map_err(gone)?;
        client.startup(parameters).await.map_err(gone)?;
        client.authenticate(config.get_password().expect("a password")).await?;
        client.greeting().await?;
        Ok(client)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WireClient<S> {
    /// Speaks on a connection that is there. Nothing was sent on it.
    pub fn over(stream: S) -> Self {
        Self { stream, inbound: Vec::new(), cancel_key: Vec::new() }
    }

    /// Reads what the server says after the login, up to the first ReadyForQuery.
    ///
    /// # Errors
    /// The error that the server answers with instead, or when the connection ends.
    pub async fn greeting(&mut self) -> Result<(), Message> {
        loop {
            let message = self.message().await.map_err(|_| Message { tag: 0, body: Vec::new() })?;
            match message.tag {
                b'Z' => return Ok(()),
                b'E' => return Err(message),
                b'K' => self.cancel_key = message.body,
                _ => {}
            }
        }
    }

    /// Sends a startup packet.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn startup(&mut self, parameters: &[(&str, &str)]) -> io::Result<()> {
        let mut packet = Vec::new();
        write::startup(&mut packet, parameters.iter().copied()).expect("parameters fit");
        self.send(&packet).await
    }

    /// Goes through SCRAM-SHA-256.
    ///
    /// # Errors
    /// The error that the server answers with instead, or when the connection ends.
    pub async fn authenticate(&mut self, password: &[u8]) -> Result<(), Message> {
        self.authenticate_bound_to(password, ChannelBinding::Unavailable).await
    }

    /// Goes through SCRAM-SHA-256, or SCRAM-SHA-256-PLUS if it is offered and there is something to bind to.
    ///
    /// # Errors
    /// The error that the server answers with instead, or when the connection ends.
    pub async fn authenticate_bound_to(
        &mut self,
        password: &[u8],
        binding: ChannelBinding,
    ) -> Result<(), Message> {
        let password = Secret::new(String::from_utf8(password.to_vec()).expect("a password is text"));
        let offer = self.authentication().await?;
        let Ok(Authentication::Sasl(offered)) = Authentication::parse(&offer.body) else {
            return Err(offer);
        };
        let exchange = ClientExchange::new(password, &offered, binding).expect("an offer to take");
        let mut out = Vec::new();
        let first = exchange.client_first();
        write::sasl_initial(&mut out, exchange.mechanism(), first.as_bytes()).expect("it fits");
        self.send(&out).await.map_err(|_| Message { tag: 0, body: Vec::new() })?;
        let challenge = self.authentication().await?;
        let Ok(Authentication::SaslContinue(first)) = Authentication::parse(&challenge.body) else {
            return Err(challenge);
        };
        let (answer, proof) = exchange.answer(first).expect("a good challenge");
        out.clear();
        write::sasl_response(&mut out, proof.as_bytes()).expect("it fits");
        self.send(&out).await.map_err(|_| Message { tag: 0, body: Vec::new() })?;
        let last = self.authentication().await?;
        let Ok(Authentication::SaslFinal(signature)) = Authentication::parse(&last.body) else {
            return Err(last);
        };
        answer.verify(signature).expect("the server knows the verifier");
        self.authentication().await.map(drop)
    }

    async fn authentication(&mut self) -> Result<Message, Message> {
        match self.message().await {
            Ok(message) if message.tag == b'R' => Ok(message),
            Ok(other) => Err(other),
            Err(_) => Err(Message { tag: 0, body: Vec::new() }),
        }
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// The next message.
    ///
    /// # Errors
    /// When the connection has ended, or nothing comes.
    pub async fn message(&mut self) -> io::Result<Message> {
        let arrived = tokio::time::timeout(DEADLINE, self.next_message()).await;
        arrived.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn next_message(&mut self) -> io::Result<Message> {
        loop {
            if let Some(header) = peek_header(&self.inbound).map_err(io::Error::other)?
                && self.inbound.len() >= header.len
            {
                let body = self.inbound[HEADER_LEN..header.len].to_vec();
                self.inbound.drain(..header.len);
                return Ok(Message { tag: header.tag, body });
            }
            if self.stream.read_buf(&mut self.inbound).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// All messages up to and including the next ReadyForQuery.
    ///
    /// # Errors
    /// When the connection ends before.
    pub async fn until_ready(&mut self) -> io::Result<Vec<Message>> {
        let mut messages = Vec::new();
        loop {
            let message = self.message().await?;
            let ready = message.tag == b'Z';
            messages.push(message);
            if ready {
                return Ok(messages);
            }
        }
    }

    /// Runs a simple query.
    ///
    /// # Errors
    /// When the connection ends before its ReadyForQuery.
    pub async fn query(&mut self, sql: &str) -> io::Result<Vec<Message>> {
        let mut out = Vec::new();
        write::query(&mut out, sql.as_bytes()).expect("it fits");
        self.send(&out).await?;
        self.until_ready().await
    }

    /// All messages up to the end of the connection.
    ///
    /// # Errors
    /// When it does not end, or not in order.
    pub async fn until_end(&mut self) -> io::Result<Vec<Message>> {
        let mut messages = Vec::new();
        loop {
            match self.message().await {
                Ok(message) => messages.push(message),
                // Our own error, and not one of TLS, which has words: its end comes before that of the socket.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && error.get_ref().is_none() => {
                    return Ok(messages);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Runs a simple query and returns the first column of its first row.
    ///
    /// # Panics
    /// When the connection ends, the query fails, or it has no row.
    pub async fn value(&mut self, sql: &str) -> String {
        let messages = self.query(sql).await.expect("an answer");
        let row = messages.iter().find(|message| message.tag == b'D');
        row.unwrap_or_else(|| panic!("{sql} gave no row: {messages:?}")).first_column()
    }

    /// The process that serves this session, as far as it was told.
    ///
    /// # Panics
    /// When the login was not given a key.
    #[must_use]
    pub fn process_id(&self) -> [u8; 4] {
        self.cancel_key[..4].try_into().expect("a key begins with the process")
    }

    /// The packet that cancels what this session is doing, to be sent on a connection of its own.
    ///
    /// # Panics
    /// When the login was not given a key.
    #[must_use]
    pub fn cancel_request(&self) -> Vec<u8> {
        assert!(!self.cancel_key.is_empty(), "the session has a cancel key");
        let length = u32::try_from(8 + self.cancel_key.len()).expect("keys are short");
        let mut packet = length.to_be_bytes().to_vec();
        packet.extend(CANCEL_REQUEST_CODE.to_be_bytes());
        packet.extend(&self.cancel_key);
        packet
    }

    /// The socket.
    pub fn stream(&mut self) -> &mut S {
        &mut self.stream
    }
}

/// The tags of some messages, in order.
#[must_use]
pub fn tags(messages: &[Message]) -> String {
    messages.iter().map(|message| char::from(message.tag)).collect()
}
