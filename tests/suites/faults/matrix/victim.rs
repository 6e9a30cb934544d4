//! The client that a fault happens to.

use super::bystander::Bystander;
use super::judge::Heard;
use crate::STACK;
use crate::conversations::Step;
use harness::Tenant;
use harness::wire::WireClient;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_postgres::Config;

/// How long the client waits for the next message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// It gives up soon and leaves: nothing need come.
    Little,
    /// Something must come.
    Full,
}

impl Patience {
    const fn limit(self) -> Duration {
        match self {
            Self::Little => Duration::from_millis(120),
            Self::Full => Duration::from_secs(20),
        }
    }
}

/// How a conversation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// As it should.
    Through,
    /// The other side ended it.
    Ended,
    /// The client gave up waiting, or had no more to ask.
    GaveUp,
    /// Nothing came although something had to.
    Hung,
}

pub(super) struct Victim {
    client: Option<WireClient>,
    patience: Patience,
    pub(super) heard: Heard,
}

impl Victim {
    pub(super) const fn new(patience: Patience) -> Self {
        Self { client: None, patience, heard: Heard { messages: Vec::new(), way: Way::Through } }
    }

    /// Did it get in?
    pub(super) async fn login(&mut self, tenant: &Tenant, through: SocketAddr) -> bool {
        let known = tenant.config();
        let mut config = Config::new();
        config.host(through.ip().to_string()).port(through.port());
        config.user(known.get_user().expect("a user")).dbname(known.get_dbname().expect("a database"));
        config.password(known.get_password().expect("a password"));
        let limit =
            if self.patience == Patience::Little { Duration::from_secs(1) } else { Duration::from_secs(20) };
        match timeout(limit, WireClient::login(&config)).await {
            Ok(Ok(client)) => self.client = Some(client),
            Ok(Err(refusal)) => {
                self.heard.messages.extend(Some(refusal).filter(|refusal| refusal.tag == b'E'));
                self.heard.way = Way::Ended;
            }
            Err(_silence) => self.gives_up(),
        }
        self.client.is_some()
    }

    /// Takes one step. `false`: there is no next one.
    pub(super) async fn take(&mut self, step: Step, tenant: &Tenant, bystander: &mut Bystander) -> bool {
        match step {
            Step::Send(bytes) => self.send(&bytes).await,
            Step::Ready(count) => self.read_until(b'Z', count).await,
            Step::Until(tag) => self.read_until(tag, 1).await,
            Step::Cancel => {
                if let Some(client) = &self.client {
                    cancel(client.cancel_request()).await;
                }
            }
            Step::EndServer => {
                STACK.end_sessions(tenant).await;
            }
            Step::Occupy => bystander.occupy().await,
            Step::Vacate => bystander.vacate().await,
        }
        self.heard.way == Way::Through
    }

    /// What it sends may be more than anybody takes: it reads the answer all the same.
    async fn send(&mut self, bytes: &[u8]) {
        let Some(client) = &mut self.client else { return };
        match timeout(self.patience.limit(), client.send(bytes)).await {
            Ok(_) => {}
            Err(_silence) => self.gives_up(),
        }
    }

    async fn read_until(&mut self, wanted: u8, count: usize) {
        let Some(client) = &mut self.client else { return };
        let mut seen = 0;
        while seen < count {
            match timeout(self.patience.limit(), client.message()).await {
                Ok(Ok(message)) => {
                    seen += usize::from(message.tag == wanted);
                    let is_ready = message.tag == b'Z';
                    let is_error = message.tag == b'E';
                    self.heard.messages.push(message);
                    if wanted != b'Z' && (is_ready || is_error) && seen < count {
                        // It came otherwise; a client that has to go on in another way than it knows leaves.
                        self.heard.way = Way::GaveUp;
                        return;
                    }
                }
                Ok(Err(_ended)) => {
                    self.heard.way = Way::Ended;
                    return;
                }
                Err(_silence) => return self.gives_up(),
            }
        }
    }

    fn gives_up(&mut self) {
        self.heard.way = if self.patience == Patience::Little { Way::GaveUp } else { Way::Hung };
    }
}

/// The gateway closes the connection when it has done what it could.
async fn cancel(request: Vec<u8>) {
    let mut socket = TcpStream::connect(STACK.addresses().pg).await.expect("the gateway listens");
    socket.write_all(&request).await.expect("the gateway reads");
    let _ = timeout(Duration::from_secs(20), tokio::io::copy(&mut socket, &mut tokio::io::sink())).await;
}
