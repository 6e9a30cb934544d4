//! A network that understands what it carries: a proxy that strikes at one message of the protocol.
//!
//! It stands in front of a gateway or of a server and counts messages in both directions, startup packets
//! included. What is to happen is kept by database name in a [`Script`], so that sessions with many
//! databases pass one proxy and only one of them is struck. Connections that turn to TLS, and cancel
//! requests, pass uncounted.

mod link;
mod plan;
mod pump;
mod script;

pub use plan::{Lie, Mischief, Place, Plan};
pub use script::{Script, Tally};

use crate::proxy::{End, reset};
use link::Link;
use pump::Pump;
use script::Scripts;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::Direction;

/// A proxy in this process. No new connection passes once it is dropped.
#[derive(Debug)]
pub struct MessageProxy {
    address: SocketAddr,
    scripts: Arc<Scripts>,
    accepting: JoinHandle<()>,
}

impl MessageProxy {
    /// Listens on a free port and passes every connection on to `target`.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let scripts = Arc::new(Scripts::default());
        let known = Arc::clone(&scripts);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let link = Arc::new(Link::new(Arc::clone(&known)));
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(target).await {
                        serve(client, server, Arc::clone(&link)).await;
                    }
                    link.is_over();
                });
            }
        });
        Self { address, scripts, accepting }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is to happen to sessions with this database.
    #[must_use]
    pub fn script(&self, database: &str) -> Arc<Script> {
        self.scripts.of(database)
    }
}

impl Drop for MessageProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(client: TcpStream, server: TcpStream, link: Arc<Link>) {
    // A proxy that gathers small packets would hide what it is to show.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let mut up = Pump::new(client_read, server_write, Direction::ToTarget, Arc::clone(&link));
    let mut down = Pump::new(server_read, client_write, Direction::FromTarget, Arc::clone(&link));
    let end = tokio::select! {
        end = both(&mut up, &mut down) => end,
        () = link.released() => End::Close,
    };
    match end {
        End::Close | End::HalfClose => {}
        End::BlackHole => link.released().await,
        End::Reset => {
            reset(up.into_target());
            reset(down.into_target());
        }
    }
}

/// Runs both directions until both have ended in order, or one has ended for both.
async fn both(up: &mut Pump, down: &mut Pump) -> End {
    let (first, is_up) = tokio::select! {
        end = up.run() => (end, true),
        end = down.run() => (end, false),
    };
    match (first, is_up) {
        (End::HalfClose, true) => down.run().await,
        (End::HalfClose, false) => up.run().await,
        (end, _) => end,
    }
}
